--- The page's script. It asks for the view, shows it, and asks again when there is another one.
-- Whatever comes from outside becomes text, never markup; the page's policy forbids the rest.
return [==[
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
let state = null;  // the view as it came last
let chosen = null; // the merchant that is looked at; null is all of them

// --- Making elements -------------------------------------------------------------------------

// el("p.faint", "text", node, …); a first object gives properties and on… handlers.
const el = (what, ...parts) => {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  node.className = classes.join(" ");
  for (const part of parts) {
    if (part === null || part === undefined || part === false) continue;
    if (typeof part === "object" && !(part instanceof Node)) Object.assign(node, part);
    else node.append(part);
  }
  return node;
};

const button = (text, act, quiet = true) => {
  const made = el(quiet ? "button.quiet.small" : "button.small", text, { type: "button" });
  made.dataset.focus = text;
  made.onclick = async () => {
    if (made.ariaBusy === "true") return; // not disabled, which would take the focus away
    made.ariaBusy = "true";
    try { await act(); } finally { made.ariaBusy = "false"; }
  };
  return made;
};

const TONES = {
  Approved: "good", Activated: "good", Success: "good", delivered: "good", Cleared: "good",
  Authorized: "good", Rejected: "bad", Fail: "bad", Failed: "bad", Declined: "bad", Delete: "bad",
  Pending: "wait", In_progress: "wait", ToActivate: "wait", waiting: "wait", Frozen: "calm",
  "no callback_url": "calm",
};
const tone = (text) => TONES[text] || "calm";
const words = (text) => text.replace(/_/g, " ").replace(/([a-z])([A-Z])/g, "$1 $2");
const pill = (text, kind = tone(text)) => el("span.pill." + kind, words(text));
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

// Brings a list's children in line with the items, and leaves those alone that did not change: what
// is open stays open, and the keyboard stays where it is.
const sync = (list, items, keyOf, build) => {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const first = old.size === 0;
  items.forEach((item, i) => {
    const key = keyOf(item), print = JSON.stringify(item);
    let node = old.get(key);
    if (!node || node.print !== print) {
      const fresh = build(item);
      fresh.dataset.key = key;
      fresh.print = print;
      if (node) replace(node, fresh); else if (!first) fresh.classList.add("fresh");
      node = fresh;
    }
    old.delete(key);
    if (list.children[i] !== node) list.insertBefore(node, list.children[i] || null);
  });
  old.forEach((node) => node.remove());
};

const replace = (node, fresh) => {
  const opened = [...node.querySelectorAll("details")].map((part) => part.open);
  fresh.querySelectorAll("details").forEach((part, i) => { part.open = opened[i] || false; });
  const active = node.contains(document.activeElement) && document.activeElement.dataset.focus;
  node.replaceWith(fresh);
  if (active) focusIn(fresh, active);
};

// The button of that name; where it is gone (Freeze became Unfreeze), the item's first.
const focusIn = (item, name) => {
  const parts = [...item.querySelectorAll("[data-focus]")];
  const part = parts.find((one) => one.dataset.focus === name) || parts[0];
  if (part) part.focus();
};

// --- Asking the emulator -----------------------------------------------------------------------

const request = async (method, path, body) => {
  const options = { method };
  if (body) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const answer = await fetch("/_emulator/" + path, options);
  const text = await answer.text();
  try { return { status: answer.status, value: JSON.parse(text) }; }
  catch { return { status: answer.status, value: {} }; }
};

let saying;
const say = (text, bad) => {
  const said = $("#said");
  said.textContent = text;
  said.classList.toggle("bad", Boolean(bad));
  said.hidden = false;
  clearTimeout(saying);
  saying = setTimeout(() => { said.hidden = true; }, 6000);
};

const attempt = async (method, path, body) => {
  try { return await request(method, path, body); }
  catch { return { status: 0, value: { error: "no answer" } }; }
};

// Makes a merchant's call and says what came of it; answers its data, or null.
const act = async (merchant, operation, fields) => {
  const { status, value } = await attempt("POST", "act", { merchant, operation, fields });
  if (value.code === 0 && status === 200) {
    const data = value.data || {};
    say(operation + ": " + (data.decision || "done"), data.decision === "declined");
    return data;
  }
  say(operation + ": " + (value.code ? "code " + value.code + ", " + value.msg
    : value.error || "HTTP " + status), true);
  return null;
};

const control = async (method, path, body, done) => {
  const { status, value } = await attempt(method, path, body);
  say(status === 200 ? done : value.error || "HTTP " + status, status !== 200);
  return status === 200;
};

// --- Asking people -----------------------------------------------------------------------------

const input = (field) => {
  const made = field.options
    ? el("select", ...field.options.map((option) => el("option", option.text || option,
      { value: option.value || option })))
    : el("input", { type: "text", autocomplete: "off", spellcheck: false });
  made.name = field.name;
  if (field.value !== undefined) made.value = field.value;
  made.required = !field.optional;
  if (field.pattern) made.pattern = field.pattern;
  if (field.money) Object.assign(made, { inputMode: "decimal", pattern: "\\d+(\\.\\d{1,2})?",
    title: "an amount such as 12.50" });
  return el("label", field.label, made);
};

// What opened the dialog was shown anew meanwhile: the focus goes to the one that took its place.
const refocus = (opener) => {
  const item = opener.closest("[data-key]");
  const again = item && [...document.querySelectorAll("[data-key]")]
    .find((one) => one.dataset.key === item.dataset.key);
  if (again) focusIn(again, opener.dataset.focus);
};

// Opens the dialog; answers the values by name, or null where it was closed.
const ask = (title, hint, fields, ok) => new Promise((resolve) => {
  const dialog = $("#dialog"), form = $("form", dialog), opener = document.activeElement;
  $("h2", dialog).textContent = title;
  $(".hint", dialog).textContent = hint;
  $(".fields", dialog).replaceChildren(...fields.map(input));
  $("#dialog-ok").textContent = ok;
  $("#dialog-cancel").onclick = () => dialog.close("");
  let values = null;
  form.onsubmit = () => { values = Object.fromEntries(new FormData(form)); };
  dialog.onclose = () => {
    resolve(values);
    if (!opener.isConnected) refocus(opener);
  };
  dialog.showModal();
  const first = $("input, select", form);
  if (first) first.focus();
  if (first && first.select) first.select();
});

let last = 0;
const unique = (letter) => `${letter}-${Date.now().toString(36).slice(-6)}${(last++) % 10}`;
const merchantOf = (name) => state.merchants.find((merchant) => merchant.name === name) || {};

// --- Acting ------------------------------------------------------------------------------------

const newHolder = async () => {
  const names = state.merchants.map((merchant) => merchant.name);
  const values = await ask("New cardholder", "KYC takes a moment; a share token that begins with"
    + " reject is rejected.", [
    { name: "merchant", label: "Merchant", options: names, value: chosen || names.at(-1) },
    { name: "number", label: "Your number of the cardholder", value: unique("U") },
    { name: "token", label: "Share token", value: "share-token" },
  ], "Apply");
  if (values) {
    await act(values.merchant, "cardholders.apply",
      { cardholder_unique_no: values.number, sumsub_share_token: values.token });
  }
};

const ADDRESS = {
  first_name: "Ada", last_name: "Lovelace", phone_code: "44", phone: "2071234567",
  postal_code: "SW1Y 4JH", country: "GB", state: "London", city: "London",
  address_line1: "12 St. James's Square",
};

const newCard = async (holder) => {
  const mode = merchantOf(holder.merchant).mode;
  const options = state.fixed.products[mode].flatMap((product) => product.types.map((type) => (
    { value: product.number + " " + type,
      text: `${product.number} · ${product.name} · ${type}` })));
  const values = await ask("New card", "A physical card goes to Ada Lovelace in London and has to"
    + " be activated.", [
    { name: "product", label: mode === "credit" ? "Package" : "BIN", options },
    { name: "number", label: "Your number of the card", value: unique("C") },
  ], "Apply");
  if (values) {
    const [number, type] = values.product.split(" ");
    const fields = { cardholder_no: holder.cardholder_no, card_unique_no: values.number,
      card_type: type, [mode === "credit" ? "package_no" : "card_bin_no"]: number };
    if (type === "Physical") fields.address_info = ADDRESS;
    await act(holder.merchant, "cards.apply", fields);
  }
};

const transfer = async (holder) => {
  const values = await ask("Move money", "TUSDT, to the cardholder or back.", [
    { name: "type", label: "Direction", options: [{ value: "In", text: "to the cardholder" },
      { value: "Out", text: "back to the merchant" }] },
    { name: "balance", label: "Amount", value: "100.00", money: true },
  ], "Move");
  if (values) {
    await act(holder.merchant, "accounts.transfer", { ...values,
      cardholder_no: holder.cardholder_no, transfer_unique_no: unique("T") });
  }
};

const buy = async (card) => {
  const values = await ask("Buy", "A shop asks for an authorization.", [
    { name: "amount", label: "Amount in USD", value: "12.50", money: true },
    { name: "shop", label: "Shop", value: "Emulator Store" },
  ], "Buy");
  if (values) {
    await act(card.merchant, "simulate.auth", { card_no: card.card_no, amount: values.amount,
      local_amount: values.amount, local_currency: "USD",
      merchant_info: { merchant_name: values.shop, merchant_mcc: "5999", city: "London",
        country: "GB" } });
  }
};

const giveBack = async (purchase, operation, title) => {
  const values = await ask(title, "All that is left, unless you say less.", [
    { name: "amount", label: "Amount in USD", money: true, optional: true, value: "" },
  ], title);
  if (values) {
    const fields = { consume_no: purchase.consume_no };
    if (values.amount) fields.amount = values.amount;
    await act(purchase.merchant, "simulate." + operation, fields);
  }
};

const setUrl = async () => {
  const known = state.merchants.map((merchant) => merchant.callback_url).find(Boolean);
  const values = await ask("Callback URL", "Where callbacks of every merchant go from now on.", [
    { name: "url", label: "URL", value: known || "http://127.0.0.1:8788/", pattern: "https?://.+" },
  ], "Set");
  if (values) await control("POST", "config", { callback_url: values.url }, "callback URL set");
};

const reset = async () => {
  const values = await ask("Reset", "Forgets all cardholders, cards, purchases, callbacks and"
    + " faults, and goes back to the options of the start.", [], "Forget everything");
  if (values) await control("POST", "reset", {}, "everything is forgotten");
};

// --- Showing -----------------------------------------------------------------------------------

const ours = (items) => items.filter((item) => !chosen || item.merchant === chosen);

const showMerchants = () => {
  sync($("#merchants"), state.merchants.map((item) => ({ ...item, on: item.name === chosen })),
    (item) => item.name, (item) => {
      const made = el("button.merchant",
        el("span.name", item.name, item.mode !== item.name && pill(item.mode, "calm"),
          item.key_state !== "enabled" && pill(item.key_state, "bad"),
          !item.pci && pill("no PCI", "wait")),
        el("span.about.faint", el("span.mono", item.api_key), el("span",
          item.callback_url ? "callbacks to " + item.callback_url : "no callback URL")),
        { type: "button" });
      made.setAttribute("aria-pressed", String(item.on));
      made.title = item.on ? "Show all merchants" : "Show this merchant alone";
      made.dataset.focus = "merchant";
      made.onclick = () => { chosen = item.on ? null : item.name; show(); };
      return made;
    });
};

const CARD_BUTTONS = {
  Activated: ["Buy", "Freeze"], Frozen: ["Buy", "Unfreeze"], ToActivate: ["Activate"],
};

const cardButton = (card, name) => {
  const status = { Freeze: "Frozen", Unfreeze: "Activated" }[name];
  if (name === "Buy") return button(name, () => buy(card), false);
  if (status) {
    return button(name, () => act(card.merchant, "cards.update_status",
      { card_no: card.card_no, status }));
  }
  return button(name, () => act(card.merchant, "cards.activate",
    { card_no: card.card_no, cardholder_no: card.cardholder_no }));
};

const showCard = (card) => el("div.card" + (CARD_BUTTONS[card.status] ? "" : ".off"),
  el("div.row", el("h3", `${card.organization} ···· ${card.card_last_no}`), pill(card.status),
    el("span.push.small.faint", card.card_type)),
  el("p.mono.faint", `${card.card_no} · ${card.card_unique_no}`),
  CARD_BUTTONS[card.status] && el("div.buttons",
    ...CARD_BUTTONS[card.status].map((name) => cardButton(card, name))));

const showHolder = (holder) => {
  const credit = merchantOf(holder.merchant).mode === "credit";
  const held = Number(holder.held) > 0;
  return el("li.item",
    el("div.row", el("h3", holder.cardholder_unique_no), pill(holder.status),
      credit && el("span.push.money", holder.balance + " TUSDT")),
    el("p.row.small", el("span.mono.faint", holder.cardholder_no),
      credit && held && el("span.push.faint", holder.held + " held")),
    holder.fail_reason && el("p.small.faint", holder.fail_reason),
    holder.status === "Approved" && el("div.buttons", button("New card", () => newCard(holder)),
      credit && button("Move money", () => transfer(holder))),
    holder.cards.length > 0 && el("div.cards", ...holder.cards.map(showCard)));
};

const showPeople = () => {
  const holders = ours(state.cardholders).map((holder) => ({ ...holder,
    cards: state.cards.filter((card) => card.cardholder_no === holder.cardholder_no) }));
  sync($("#people .list"), holders, (holder) => holder.cardholder_no, showHolder);
};

const stepTone = (step) => {
  if (step.label === "Merchant asked") {
    return step.verdict === "delivered" ? "good" : step.verdict === "waiting" ? "wait" : "bad";
  }
  return tone(step.label);
};

const VERDICTS = { delivered: "approved", waiting: "waiting for the answer" };

const showStep = (step) => el("div.step." + stepTone(step), el("b", step.label),
  step.label === "Merchant asked" ? el("p", VERDICTS[step.verdict] || step.verdict)
    : el("span.money", step.amount),
  step.remark && el("p", step.remark), el("p", clock(step.at)));

const purchaseButtons = (purchase) => {
  const settle = (name, operation) => button(name, () => act(purchase.merchant,
    "simulate." + operation, { consume_no: purchase.consume_no }), name !== "Clear");
  const back = (name, operation) => button(name, () => giveBack(purchase, operation, name));
  if (purchase.undecided) return [];
  if (purchase.status === "Pending") {
    return [settle("Clear", "consumption_clear"), settle("Fail", "consumption_fail"),
      back("Reverse", "reversal")];
  }
  return purchase.status === "Success"
    ? [back("Refund", "refund"), back("Reverse", "reversal")] : [];
};

const showPurchase = (purchase) => {
  const shop = (purchase.merchant_info || {}).merchant_name || words(purchase.type);
  const buttons = purchaseButtons(purchase);
  return el("li.item",
    el("div.row", el("h3", shop), pill(purchase.undecided ? "waiting" : purchase.status),
      el("span.push.money", `${purchase.amount} USD`)),
    el("p.row.small", el("span.mono.faint", `${purchase.consume_no} · card ${purchase.card}`),
      Number(purchase.fee) > 0 && el("span.push.faint", `fee ${purchase.fee}`)),
    el("div.steps", ...purchase.steps.map(showStep)),
    buttons.length > 0 && el("div.buttons", ...buttons));
};

const showPurchases = () => {
  const last = new Map(state.cards.map((card) => [card.card_no, "···· " + card.card_last_no]));
  sync($("#purchases .list"), ours(state.purchases).map((purchase) => ({ ...purchase,
    card: last.get(purchase.card_no) || purchase.card_no })),
  (purchase) => purchase.consume_no, showPurchase);
};

// Indents JSON without reading its numbers: the digits shown are those that were signed.
const indent = (text) => {
  let depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  return text.replace(/"(?:[^"\\]|\\.)*"|[{}[\]:,]/g, (token) => {
    if (token === "{" || token === "[") { depth++; return token + line(); }
    if (token === "}" || token === "]") { depth--; return line() + token; }
    return token === "," ? "," + line() : token === ":" ? ": " : token;
  }).replace(/([{[])\s+([}\]])/g, "$1$2");
};

const showAttempt = (attempt, i) => el("div",
  el("h3", [`Attempt ${i + 1}`, clock(attempt.at), attempt.http_status
    && "HTTP " + attempt.http_status, attempt.verdict || "waiting",
  attempt.latency_ms !== undefined && `${Math.round(attempt.latency_ms)} ms`]
    .filter(Boolean).join(" · ")),
  attempt.headers && el("pre", [`POST ${attempt.url}`, ...Object.entries(attempt.headers)
    .map(([name, value]) => `${name}: ${value}`)].join("\n")),
  attempt.reply !== undefined && el("pre", attempt.reply || "(an empty reply)"));

const showCallback = (callback) => {
  const tries = callback.attempts, latest = tries[tries.length - 1];
  const facts = [tries.length > 1 && `${tries.length} attempts`,
    latest && latest.latency_ms !== undefined && `${Math.round(latest.latency_ms)} ms`,
    clock(callback.time)].filter(Boolean).join(" · ");
  const kind = TONES[callback.verdict] || "bad";
  return el("li.item", el("details",
    el("summary.row", el("span.chevron", "›", { ariaHidden: "true" }), el("h3", callback.action),
      pill(callback.verdict, kind), el("span.mono.faint", callback.subject),
      el("span.push.small.faint", facts)),
    el("div.detail", el("p.mono.faint", "id " + callback.id),
      el("div", el("h3", "Request: data, as it was signed"), el("pre", indent(callback.data))),
      ...tries.map(showAttempt))));
};

const effect = (fault) => [fault.code !== undefined && `code ${fault.code}`,
  fault.status && `HTTP ${fault.status}`, fault.answer, fault.delay && `${fault.delay} s late`,
  fault.after && "after acting", fault.duplicate && "sent twice", fault.reorder && "overtaken",
  fault.bad_signature && "badly signed"].filter(Boolean).join(", ");

const victim = (fault) => (fault.callback
  ? (fault.callback === "*" ? "any" : words(fault.callback)) + " callback"
  : fault.operation === "*" ? "any operation" : fault.operation);

const showFaults = () => {
  sync($("#break .list"), state.faults, (fault) => JSON.stringify(fault), (fault) => el("li.item",
    el("div.row", el("h3", victim(fault)), pill(effect(fault), "bad"),
      el("span.push.small.faint", fault.times === "always" ? "always"
        : `${fault.times} to come`))));
  $("#mend").hidden = state.faults.length === 0;
};

const option = (value, text) => el("option", text || value, { value });

// What can become of an answer, and of a callback: a fault's field and its value.
const answers = () => [
  ...state.fixed.codes.map(({ code, text }) => option("code " + code, `${code} ${text}`)),
  option("status 500", "HTTP 500"), option("status 503", "HTTP 503"),
  option("answer closed", "none: the connection closes"),
  option("answer reset", "none: the connection is reset"), option("answer half", "half of it"),
  option("answer garbage", "garbage"), option("answer html", "a proxy's HTML"),
  option("delay 2", "2 seconds late"), option("delay 40", "40 seconds late"),
];
const deliveries = () => [option("duplicate true", "sent twice"),
  option("reorder true", "overtaken by the next one"),
  option("bad_signature true", "badly signed, the first time"),
  option("delay 5", "5 seconds late")];

const isCallback = (form) => form.operation.value.startsWith("callback ");

const faultOf = (form) => {
  const [field, value] = form.answer.value.split(" ");
  const fault = { [field]: value === "true" ? true : isNaN(value) ? value : Number(value),
    times: form.times.value === "always" ? "always" : Number(form.times.value) };
  if (isCallback(form)) return { ...fault, callback: form.operation.value.slice(9) };
  if (form.after.checked) fault.after = true;
  return { ...fault, operation: form.operation.value };
};

const fillFaultForm = () => {
  const form = $("#break-form");
  form.operation.append(
    el("optgroup", { label: "Answers to" }, option("*", "any operation"),
      ...state.fixed.operations.map((name) => option(name))),
    el("optgroup", { label: "Callbacks" }, option("callback *", "any callback"),
      ...["Auth", "Consumption", "Card_update"].map((name) => option("callback " + name, name))));
  const fit = () => {
    form.answer.replaceChildren(...(isCallback(form) ? deliveries() : answers()));
    $(".check", form).hidden = isCallback(form);
  };
  form.operation.value = "cards.apply";
  form.operation.onchange = fit;
  fit();
  form.onsubmit = async (event) => {
    event.preventDefault();
    await control("POST", "faults", faultOf(form), "it will break");
  };
};

// --- What to do next, where there is nothing yet -------------------------------------------------

// The whole command, a flag to a line, for the merchant that is meant.
const shell = (variables, command, merchant) => {
  const mode = merchantOf(merchant).mode || merchantOf(chosen).mode;
  const lines = [...command];
  if (mode === "authorization") lines.push("--mode authorization");
  if (location.origin !== "http://127.0.0.1:8787") lines.push("--address " + location.origin);
  return ["KEYSECURE_ENVIRONMENT=emulator", ...variables].map((one) => `export ${one}\n`).join("")
    + "keysecure " + lines.join(" \\\n  ");
};

const showEmpty = (section, shown, line) => {
  const place = $(section), code = $(".empty pre", place), count = $(".count", place);
  $(".empty", place).hidden = shown > 0;
  if (code) code.textContent = line;
  if (count) count.textContent = shown === state.fixed.most ? `the latest ${shown}` : shown || "";
};

const showHints = () => {
  const card = ours(state.cards).find((one) => one.status === "Activated");
  showEmpty("#people", ours(state.cardholders).length,
    shell(["KEYSECURE_SUMSUB_SHARE_TOKEN=share-token"],
      ["cardholders apply", "--cardholder-unique-no U-1001"]));
  showEmpty("#purchases", ours(state.purchases).length,
    shell([], ["simulate auth", "--amount 12.50", "--card-no " + (card ? card.card_no : "C…")],
      card && card.merchant));
  showEmpty("#callbacks", ours(state.callbacks).length,
    "export KEYSECURE_ENVIRONMENT=emulator KEYSECURE_MODE=" + (merchantOf(chosen).mode || "credit")
    + "\nkeysecure listen --port 8788\nkeysecure emulator --callback-url http://127.0.0.1:8788/");
  showEmpty("#break", state.faults.length);
};

const show = () => {
  showMerchants();
  showPeople();
  showPurchases();
  sync($("#callbacks .list"), ours(state.callbacks), (callback) => callback.id, showCallback);
  showFaults();
  showHints();
};

// --- Staying up to date --------------------------------------------------------------------------

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const live = (on, text, more = "") => {
  const place = $("#live");
  place.className = "live " + (on ? "on" : "off");
  if (place.textContent !== text + more) place.replaceChildren(text, el("span", more));
};

const update = async () => {
  const since = state ? state.version : "";
  const { status, value } = await request("GET", "view?since=" + since);
  if (status !== 200) throw new Error("HTTP " + status);
  const first = !state;
  const unchanged = value.version === since;
  state = value;
  if (first) fillFaultForm();
  live(true, "live", "\u00a0on " + location.host);
  if (!unchanged) show();
};

const follow = async () => {
  for (;;) {
    const began = Date.now(), since = state && state.version;
    try {
      await update();
      // An answer at once without news: too many tabs wait already.
      await pause(state.version === since && Date.now() - began < 1000 ? 2000 : 150);
    } catch {
      live(false, "no answer; trying again");
      await pause(1000);
    }
  }
};

$("#new-holder").onclick = newHolder;
$("#set-url").onclick = setUrl;
$("#reset").onclick = reset;
$("#mend").onclick = () => control("DELETE", "faults", undefined, "nothing is broken any more");
follow();
]==]
