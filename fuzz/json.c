/* The scanner: what it accepts holds together, whichever of its readers reads it. */
#include "core/json.h"

#include "check.h"

static bool is_text(ks_json_value value) {
    return value.type == KS_JSON_STRING;
}

/* A value that was given out is a whole document of the same type by itself. */
static void check_value(ks_json_value value, ks_span text) {
    ks_json_value again;
    CHECK(lies_inside(value.lexeme, text));
    CHECK(value.lexeme.size > 0);
    CHECK(ks_json_check(value.lexeme.data, value.lexeme.size, &again, NULL));
    CHECK(again.type == value.type);
    CHECK(same_bytes(again.lexeme, value.lexeme));
}

static void check_string(ks_json_value string) {
    ks_text out;
    ks_text_init(&out, KS_JSON_SIZE_MAX, KS_TEXT_PLAIN);
    CHECK(ks_json_unescape(string.lexeme, &out));
    CHECK(out.size <= string.lexeme.size - 2);
    CHECK(string.escaped || out.size == string.lexeme.size - 2);
    CHECK(ks_json_string_is(string, out.data, out.size));
    CHECK(ks_text_append_byte(&out, 'x'));
    CHECK(!ks_json_string_is(string, out.data, out.size));
    ks_text_cleanup(&out);
}

static void check_members(ks_span text, bool is_object) {
    ks_json_members walk;
    ks_json_value key, value;
    ks_json_step step;
    ks_json_members_start(&walk, text.data, text.size);
    while ((step = ks_json_members_next(&walk, &key, &value)) == KS_JSON_MEMBER) {
        CHECK(is_text(key));
        check_value(key, text);
        check_value(value, text);
        check_string(key);
        if (is_text(value))
            check_string(value);
    }
    CHECK((step == KS_JSON_END) == is_object);
    CHECK(ks_json_members_next(&walk, &key, &value) == step);
    if (step == KS_JSON_BAD)
        CHECK(walk.fault.reason != NULL && walk.fault.offset <= text.size);
}

/* Nodes come in the order of the text, children inside their parents, no deeper than allowed. */
static void check_tape(const ks_json_tape *tape, ks_span text) {
    uint32_t ends[KS_JSON_DEPTH_MAX + 1];
    size_t depth = 0;
    for (uint32_t i = 0; i < tape->count; i++) {
        const ks_json_node *node = &tape->nodes[i];
        while (depth > 0 && ends[depth - 1] <= i)
            depth--;
        CHECK(node->begin < node->end && node->end <= text.size);
        CHECK(node->next > i && node->next <= tape->count);
        CHECK(depth == 0 || node->next <= ends[depth - 1]);
        if (node->type == KS_JSON_ARRAY || node->type == KS_JSON_OBJECT) {
            CHECK(depth < KS_JSON_DEPTH_MAX);
            ends[depth++] = node->next;
        } else {
            CHECK(node->next == i + 1);
        }
    }
    CHECK(tape->count > 0 && tape->nodes[0].next == tape->count);
}

static void check_envelope(ks_span text, bool is_object) {
    ks_json_envelope envelope;
    ks_json_fault fault;
    if (!ks_json_envelope_read(text.data, text.size, &envelope, &fault)) {
        CHECK(fault.reason != NULL && fault.offset <= text.size);
        return;
    }
    CHECK(is_object);
    CHECK(envelope.msg.type == KS_JSON_ABSENT || is_text(envelope.msg));
    if (envelope.msg.type != KS_JSON_ABSENT)
        check_value(envelope.msg, text);
    if (envelope.data.type != KS_JSON_ABSENT)
        check_value(envelope.data, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ks_span text = {(const char *)data, size};
    ks_json_value value = {0};
    ks_json_fault fault;
    bool good = ks_json_check(text.data, text.size, &value, &fault);
    if (good)
        check_value(value, text);
    else
        CHECK(fault.reason != NULL && fault.offset <= size);
    if (good && is_text(value))
        check_string(value);

    bool is_object = good && value.type == KS_JSON_OBJECT;
    check_members(text, is_object);
    check_envelope(text, is_object);

    ks_json_tape tape = {0};
    CHECK(ks_json_tape_read(&tape, text.data, text.size, &fault) == good);
    if (good)
        check_tape(&tape, text);
    ks_json_tape_cleanup(&tape);
    return 0;
}
