#include "core/record.h"

#include "core/token.h"

/* The first byte says what follows; another shape gets another letter. */
enum { TOKEN = 'T', FAILURE = 'F' };

/* Numbers are eight bytes, the highest first. */
static bool put_number(ks_text *record, int64_t number) {
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (56 - 8 * i));
    return ks_text_append(record, bytes, sizeof bytes);
}

static bool take_bytes(ks_span *record, size_t size, ks_span *bytes) {
    if (record->size < size)
        return false;
    *bytes = (ks_span){record->data, size};
    record->data += size;
    record->size -= size;
    return true;
}

static bool take_number(ks_span *record, int64_t *number) {
    ks_span bytes;
    uint64_t value = 0;
    if (!take_bytes(record, 8, &bytes))
        return false;
    for (size_t i = 0; i < bytes.size; i++)
        value = value << 8 | (unsigned char)bytes.data[i];
    *number = (int64_t)value;
    return true;
}

static bool take_number_up_to(ks_span *record, int64_t limit, int64_t *number) {
    return take_number(record, number) && *number >= 0 && *number <= limit;
}

static bool take_kind(ks_span *record, char kind) {
    ks_span byte;
    return take_bytes(record, 1, &byte) && *byte.data == kind;
}

bool ks_record_write_token(ks_text *record, const ks_shared_token *token, const ks_sight *sight) {
    ks_text_append_byte(record, TOKEN);
    put_number(record, token->serial);
    put_number(record, token->expires);
    put_number(record, token->lifetime);
    put_number(record, sight->known);
    put_number(record, sight->at);
    put_number(record, sight->earliest);
    put_number(record, sight->latest);
    put_number(record, (int64_t)sight->epoch.size);
    ks_text_append_span(record, sight->epoch);
    return ks_text_append_span(record, token->value);
}

bool ks_record_read_token(ks_span record, ks_shared_token *token, ks_sight *sight) {
    int64_t serial, known, epoch_size;
    if (!take_kind(&record, TOKEN) || !take_number_up_to(&record, UINT32_MAX, &serial) ||
        !take_number(&record, &token->expires) || !take_number(&record, &token->lifetime) ||
        !take_number_up_to(&record, 1, &known) || !take_number(&record, &sight->at) ||
        !take_number(&record, &sight->earliest) || !take_number(&record, &sight->latest) ||
        !take_number_up_to(&record, KS_RECORD_EPOCH_MAX, &epoch_size) ||
        !take_bytes(&record, (size_t)epoch_size, &sight->epoch) || record.size == 0 ||
        record.size > KS_TOKEN_SIZE_MAX)
        return false;
    token->serial = (uint32_t)serial;
    token->value = record;
    sight->known = known == 1;
    return true;
}

bool ks_record_write_failure(ks_text *record, const ks_fault *failure) {
    ks_text_append_byte(record, FAILURE);
    put_number(record, failure->kind);
    put_number(record, failure->code);
    put_number(record, failure->http_status);
    return ks_text_append(record, failure->message, strlen(failure->message));
}

bool ks_record_read_failure(ks_span record, ks_fault *failure) {
    int64_t kind, code, status;
    if (!take_kind(&record, FAILURE) || !take_number_up_to(&record, KS_FAULT_CANCELLED, &kind) ||
        kind == KS_FAULT_NONE || !take_number_up_to(&record, INT32_MAX, &code) ||
        !take_number_up_to(&record, 999, &status) || record.size >= KS_FAULT_MESSAGE_MAX)
        return false;
    *failure =
        (ks_fault){.kind = (ks_fault_kind)kind, .code = (int32_t)code, .http_status = (int)status};
    memcpy(failure->message, record.data, record.size);
    return true;
}
