--- The page's HTML: the places that the script fills.
return [==[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>KeySecure emulator</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/_emulator/page.css">
<script src="/_emulator/page.js" defer></script>
</head>
<body>
<header class="top">
  <div class="brand">
    <span class="mark" aria-hidden="true"></span>
    <h1>KeySecure <span>emulator</span></h1>
  </div>
  <p id="live" class="live" role="status">connecting</p>
  <nav aria-label="Sections">
    <a href="#people">Cards</a>
    <a href="#purchases">Purchases</a>
    <a href="#callbacks">Callbacks</a>
    <a href="#break">Break</a>
  </nav>
  <button id="reset" type="button" class="quiet">Reset</button>
</header>

<section id="merchants" class="merchants" aria-label="Merchants"></section>

<main>
  <div class="column">
    <section id="people" aria-labelledby="people-title">
      <div class="title">
        <h2 id="people-title">Cardholders <span class="count"></span></h2>
        <button id="new-holder" type="button">New cardholder</button>
      </div>
      <div class="empty" hidden>
        <p>Nobody yet. A cardholder passes KYC, then gets cards. Press <b>New cardholder</b>, or
          from a shell:</p>
        <pre></pre>
      </div>
      <ol class="list"></ol>
    </section>

    <section id="break" aria-labelledby="break-title">
      <div class="title">
        <h2 id="break-title">Break what comes next</h2>
      </div>
      <form id="break-form" class="panel">
        <label>What <select name="operation"></select></label>
        <label>How <select name="answer"></select></label>
        <label>How often
          <select name="times">
            <option value="1">once</option>
            <option value="3">three times</option>
            <option value="always">always</option>
          </select>
        </label>
        <label class="check"><input type="checkbox" name="after"> act first, so that the answer
          is a lie</label>
        <button type="submit">Break it</button>
      </form>
      <p class="empty" hidden>Nothing is broken. What you break here happens to your program's next
        call, too.</p>
      <ol class="list"></ol>
      <button id="mend" type="button" class="quiet" hidden>Mend all</button>
    </section>
  </div>

  <div class="column wide">
    <section id="purchases" aria-labelledby="purchases-title">
      <div class="title">
        <h2 id="purchases-title">Purchases <span class="count"></span></h2>
      </div>
      <div class="empty" hidden>
        <p>No purchases yet. Press <b>Buy</b> on a card that is Activated, or from a shell:</p>
        <pre></pre>
      </div>
      <ol class="list"></ol>
    </section>

    <section id="callbacks" aria-labelledby="callbacks-title">
      <div class="title">
        <h2 id="callbacks-title">Callbacks <span class="count"></span></h2>
        <button id="set-url" type="button" class="quiet">Set URL</button>
      </div>
      <div class="empty" hidden>
        <p>Nothing was sent yet. Purchases and card changes are told to your webhook, or to one
          that prints them: press <b>Set URL</b>, or start the emulator with its address:</p>
        <pre></pre>
      </div>
      <ol class="list"></ol>
    </section>
  </div>
</main>

<dialog id="dialog" aria-labelledby="dialog-title">
  <form method="dialog">
    <h2 id="dialog-title"></h2>
    <p class="hint"></p>
    <div class="fields"></div>
    <div class="buttons">
      <button type="button" class="quiet" id="dialog-cancel">Cancel</button>
      <button type="submit" id="dialog-ok"></button>
    </div>
  </form>
</dialog>

<p id="said" class="said" role="status" hidden></p>
<noscript>This page needs its script.</noscript>
</body>
</html>
]==]
