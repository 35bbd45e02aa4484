#!/bin/sh
# The same for a program in any language, or for the command line: starts an emulator on a free
# port, waits until it listens, resets it between checks, and ends it whatever happens.
#
#     sh run.sh            needs keysecure (or KEYSECURE="lua bin/keysecure") and curl on the path
set -eu

keysecure() {
    # shellcheck disable=SC2086 # may be more than one word
    ${KEYSECURE:-command keysecure} "$@"
}

# --- Start, wait, end ----------------------------------------------------------------------------

said=$(mktemp)
# shellcheck disable=SC2086
${KEYSECURE:-keysecure} emulator --port 0 --log none --kyc-delay 0 --issue-delay 0 >"$said" &
emulator=$!
end() {
    kill "$emulator" 2>/dev/null || true
    wait "$emulator" || true
    rm -f "$said"
}
trap end EXIT
trap 'exit 1' INT TERM

# It says where it listens once it does.
tries=0
until address=$(sed -n 's/^keysecure emulator on \([^ ]*\).*/\1/p' "$said") && [ -n "$address" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$emulator" 2>/dev/null; then
        echo "the emulator did not start" >&2
        exit 1
    fi
    sleep 0.1
done

# What a program under test is told.
export KEYSECURE_ENVIRONMENT=emulator KEYSECURE_MODE=credit KEYSECURE_ADDRESS="$address"
export KEYSECURE_SUMSUB_SHARE_TOKEN=share-token

# --- Checks --------------------------------------------------------------------------------------

post() {
    curl --fail --silent --show-error --output /dev/null --header 'Content-Type: application/json' \
        --data "$2" "$address/_emulator/$1"
}

check() {
    if [ "$2" != "$3" ]; then
        echo "not ok: $1: expected '$3', got '$2'" >&2
        exit 1
    fi
    echo "ok: $1"
}

# member NAME -> its text, of the first row of the JSON on standard input
member() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1
}

post reset '{}'
holder=$(keysecure cardholders apply --cardholder-unique-no U-1 --json | member cardholder_no)
keysecure cardholders wait --cardholder-no "$holder" --timeout 10 >/dev/null
card=$(keysecure cards apply --cardholder-no "$holder" --package-no P-1 --card-type Virtual \
    --card-unique-no C-1 --json | member card_no)
check "a card is issued" \
    "$(keysecure cards wait --card-no "$card" --timeout 10 --json | member status)" Activated
check "without money a purchase is declined" \
    "$(keysecure simulate auth --card-no "$card" --amount 5.00 --json | member decision)" declined
keysecure accounts transfer --cardholder-no "$holder" --type In --balance 10.00 \
    --transfer-unique-no T-1 >/dev/null
check "with money it is approved" \
    "$(keysecure simulate auth --card-no "$card" --amount 5.00 --json | member decision)" approved

post reset '{}'
status=0
keysecure cards detail --card-no "$card" 2>/dev/null || status=$?
check "after a reset the card is gone" "$status" 1

post faults '{"operation":"cards.packages","code":1011}'
status=0
keysecure cards packages 2>/dev/null || status=$?
check "a broken answer is noticed" "$status" 1

echo "all as it should be"
