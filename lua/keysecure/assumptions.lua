--- What the platform does not publish, and what is taken for it here.
--
-- Where code, specs or the emulator rest on something unpublished they name it by its mark, so that
-- a user with real credentials can find it and correct it in one place. Pure data:
-- docs/assumptions.md is made of it by `./dev docs`; `keysecure emulator --assumptions` prints it.

---@class keysecure.Assumption
---@field mark string  such as "A1"
---@field text string  with `code` in backquotes

---@type keysecure.Assumption[]
return {
  { mark = "A1",
    text = "A new access token leaves the old one valid. The emulator has a switch for the "
      .. "opposite, `single_session`." },
  { mark = "A2",
    text = "`consumptions.info` also gives `fee_list`, `merchant_info`, `status` and `time`, "
      .. "shaped as in the callback." },
  { mark = "A3",
    text = "`pci.card_detail` takes the one-time token in `Client-Access-Token` and answers "
      .. "the plaintext of `cards.private_info`." },
  { mark = "A4",
    text = "Rows of `accounts.transfers`: `transfer_no`, `transfer_unique_no`, "
      .. "`cardholder_no`, `type`, `balance`, `status`, `time`." },
  { mark = "A5",
    text = "The fields of the simulations. The client passes whatever it is given; what the "
      .. "emulator takes is in `lua/keysecure/api.lua`. A clearing takes all that is open, "
      .. "or `amount`, which may be more, whether the balance covers it or not; with `final` "
      .. "false what is left stays open for the next one. In the end the record has the "
      .. "amount that cleared and, on top, what was reversed before, which has records of its "
      .. "own: so records add up. What has cleared in part can't fail." },
  { mark = "A6",
    text = "The AES key is the UTF-8 bytes of `apiSecret`, 16, 24 or 32 of them. "
      .. "`secret_encoding` may say `base64` or `hex`." },
  { mark = "A7",
    text = "Callbacks are signed with `appId` = the Api-Key and the secret = `apiSecret`." },
  { mark = "A8",
    text = "Callbacks are answered with HTTP status 200." },
  { mark = "A9",
    text = "A callback counts as delivered on HTTP 200 with `code` 0; otherwise the same `id` "
      .. "comes again after 1, 5, 30 and 60 s. `Auth` is never repeated." },
  { mark = "A10",
    text = "Card status: Pending → Activated, ToActivate or Fail; ToActivate → Activated; "
      .. "Activated ↔ Frozen; Activated, Frozen, ToActivate → Delete; anything else is "
      .. "4005." },
  { mark = "A11",
    text = "Codes where none is published: a repeated `card_unique_no` or `transfer_unique_no` "
      .. "and a wrong CVV or last four digits → 1004 naming the field; a transfer out "
      .. "above the balance → 3001; unknown card 4001, consumption 4002, package or BIN "
      .. "4003." },
  { mark = "A12",
    text = "Shapes of address fields (phone digits, postal code, country code) and the `type` "
      .. "filter of `cards.packages`." },
  { mark = "A13",
    text = "A date alone means its first second as `start_time` and its last as `end_time`. "
      .. "Walks always name the second, so they do not depend on it." },
  { mark = "A14",
    text = "Lists come newest first." },
  { mark = "A15",
    text = "What is wrong is told in this order: 1002, 1008, the key's state (1010, 1011, "
      .. "1021, 1022), 1003, 1009, 1005, 1006, 1007, 1012, then the arguments, then the "
      .. "state of what they name." },
  { mark = "A16",
    text = "Inputs by which the emulator is told to let something end badly: a share token "
      .. "beginning `reject` is Rejected, `nodata` gives 2006, `unverified` 2005; a "
      .. "`card_unique_no` beginning `fail` gives a card that is Fail." },
  { mark = "A17",
    text = "What the hosted iframe sends with `pci.card_detail`, looked at only where it is "
      .. "there: `Parent-Origin` (1015), `Origin` (1016), `Sec-Fetch-Site` (1018). The same "
      .. "token and `Timestamp` again is a replay (1017), a used token in a new request "
      .. "1014." },
  { mark = "A18",
    text = "Rates are percentages, fees are rounded half up to cents. A purchase costs "
      .. "`consume_rate` of its amount (`Consume_fee`): of what was authorized while it is "
      .. "Pending, of what cleared in the end. It stays paid when the purchase is refunded. "
      .. "Fees are charged in credit mode alone." },
  { mark = "A19",
    text = "A purchase with a Frozen or Deleted card is declined; one with a card that was "
      .. "never usable is 4005." },
  { mark = "A20",
    text = "A wrong Content-Type, a body that is no JSON and a bad Timezone are 1004, naming "
      .. "`Content-Type`, `body` or `Timezone`; an unknown path, a wrong method and a body "
      .. "over 1 MiB are HTTP 404, 405 and 413 with the same number as code." },
  { mark = "A21",
    text = "A request that was let in is carried out, and what it did shows in lists, within 10 s. "
      .. "Together with the 60 s that a `Timestamp` is good for, this is when a lost write that "
      .. "can't be found is taken for absent." },
  { mark = "A22",
    text = "A purchase whose `local_currency` is not USD costs `cross_consume_rate` of its "
      .. "amount on top (`Exchange_fee`)." },
  { mark = "A23",
    text = "A purchase below `small_consume_threshold` costs `small_consume_deduct` on top "
      .. "(`Small_fee`). `free_small_excuse_type` says how many are free: `Forever`, the "
      .. "first `free_small_consume_count` of the card; `Day`, so many in "
      .. "`free_small_excuse_days` days; `None`, none." },
  { mark = "A24",
    text = "A declined purchase costs `decline_fee` (`Decline_fee`), as far as the balance "
      .. "goes; how many are free is counted as in A23. With a deleted card it costs "
      .. "nothing." },
  { mark = "A25",
    text = "A refund costs `refund_rate` of its amount (`Refund_fee`)." },
  { mark = "A26",
    text = "A reversal of `consume_cancel_threshold` or more costs `consume_cancle_fee` "
      .. "(`Cancel_fee`)." },
  { mark = "A27",
    text = "Cash (`type` = `Atm`) costs `atm_rate` of its amount, at least `atm_min_fee` "
      .. "(`Atm_fee`), instead of `consume_rate`." },
  { mark = "A28",
    text = "A purchase by Apple Pay costs `apple_pay_fee` (`Apple_auth_fee`); `apple_pay` in "
      .. "`simulate.auth` says that it is one." },
  { mark = "A29",
    text = "`manage_fee` is charged for every 30 days since a card was issued until it is "
      .. "deleted, as a record `Manage_fee`, which is Fail where the balance does not cover "
      .. "it; not where `management_fee_free_type` is `Forever`, nor after 30 days in which "
      .. "purchases of `free_management_fee_threshold` or more cleared." },
  { mark = "A30",
    text = "`limit_balance` is the most for one purchase, `limit_week_balance` for the "
      .. "purchases of a week from Monday, `limit_atm_day_balance` and "
      .. "`limit_atm_month_balance` for cash in a day and a calendar month, all in UTC+8, "
      .. "without fees, less what failed or came back. What breaks one is declined, in "
      .. "authorization mode before the merchant is asked." },
  { mark = "A31",
    text = "A purchase whose card is no longer Activated when the merchant approves it is "
      .. "declined." },
  { mark = "A32",
    text = "`open_cost` is taken from the cardholder's account when a card is applied for, as "
      .. "a record `Open_card`; where the account does not cover it the application is "
      .. "refused with 3001. It comes back, as a `Reversal`, for a card that could not be "
      .. "issued." },
}
