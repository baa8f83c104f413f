// The page without reloads: one address, no history, nothing kept.
(function () {
  'use strict';

  const IDLE = 10 * 60 * 1000;
  const PATIENCE = 14 * 1000;
  const UPLOAD = 3 * 60 * 1000;
  const RECORD = 5 * 60 * 1000;
  const SHIFT = 5 * 1000;
  const AGAIN = 5 * 1000;
  const body = document.body;
  const main = document.getElementById('main');
  const status = document.getElementById('say');
  const veil = document.getElementById('veil');
  const dots = document.getElementById('dots');
  const listen = document.getElementById('listen');
  const byId = (id) => document.getElementById(id);
  const spare = (byId('spare') || main).innerHTML;
  const speech = window.speechSynthesis;

  let words = {};
  let turn = 0;
  let leaving = false;
  let stream = null;
  const told = new Set(); // of which messages the line knows that she has read them
  let touched = Date.now();
  let hiddenSince = 0;

  if (location.pathname !== '/' || location.search || location.hash) history.replaceState(null, '', '/');

  // --- the screen ------------------------------------------------------------------------

  const on = (name) => { const s = byId('screen'); return !!s && s.dataset[name] === '1'; };

  function ready() {
    const screen = byId('screen');
    if (!screen) return;
    words = JSON.parse(screen.dataset.words);
    document.documentElement.lang = screen.lang;
    silence();
    if (on('case') && !on('cover')) openStream(); else closeStream();
    if (byId('record')) byId('record').hidden = !canRecord;
    keepVoices(main);
    fit();
  }

  function swap(html) {
    const fresh = document.createElement('template');
    fresh.innerHTML = html;
    const screen = fresh.content.getElementById('screen');
    if (!screen) return false;
    const was = byId('text');
    const typed = was ? was.value : '';
    const typing = was && document.activeElement === was;
    const old = byId('log');
    const log = fresh.content.getElementById('log');
    if (old && screen.dataset.case === '1' && screen.dataset.cover !== '1') {
      const known = new Set(Array.from(old.children, (item) => item.dataset.n));
      const news = Array.from(log.children).filter((item) => !known.has(item.dataset.n));
      log.replaceChildren(...old.children, ...news);
    }
    keepMedium(fresh.content);
    main.replaceChildren(fresh.content);
    ready();
    const field = byId('text');
    if (field && typed) {
      field.value = typed;
      field.form.elements.once.value = was.form.elements.once.value; // they may be on their way
      fit();
    }
    if (field && typing && on('talking')) field.focus({ preventScroll: true });
    else arrive();
    read();
    return true;
  }

  function arrive() {
    window.scrollTo(0, 0);
    const first = byId('first');
    if (first) first.focus({ preventScroll: true });
    const log = byId('log');
    if (on('talking') && log.lastElementChild) log.lastElementChild.scrollIntoView({ block: 'end' });
  }

  function announce(text) {
    status.textContent = '';
    setTimeout(() => { status.textContent = text; }, 50);
  }

  function trouble(shown, text) {
    const box = byId('trouble');
    if (!box) return;
    box.hidden = !shown;
    if (shown && text) box.firstElementChild.textContent = text;
    if (shown) box.scrollIntoView({ block: 'center' });
  }

  // --- asking -----------------------------------------------------------------------------

  async function ask(method, fields, patience) {
    const control = new AbortController();
    const timer = setTimeout(() => control.abort(), patience || PATIENCE);
    try {
      const answer = await fetch('/', {
        method: method,
        body: fields instanceof FormData ? fields : fields && new URLSearchParams(fields),
        headers: { 'X-Requested-With': 'fetch' },
        cache: 'no-store',
        signal: control.signal,
      });
      return { status: answer.status, leave: answer.headers.has('X-Leave'), html: await answer.text() };
    } finally {
      clearTimeout(timer);
    }
  }

  function fields(form) {
    const given = { at: form.elements.at.value, seen: unread().join(' ') };
    if (stream && stream.readyState === 1) given.live = '1';
    return given;
  }

  async function tap(button) {
    const mine = ++turn;
    trouble(false);
    body.classList.add('busy');
    try {
      const answer = await ask('POST', Object.assign(fields(byId('taps')), { p: button.value }));
      if (leaving || mine !== turn) return;
      if (answer.leave) leave(); else if (answer.status !== 204 && !swap(answer.html)) trouble(true);
    } catch (error) {
      if (mine === turn) trouble(true);
    } finally {
      if (mine === turn) body.classList.remove('busy');
    }
  }

  async function send(form) {
    const field = byId('text');
    const text = field.value.trim();
    if (!text || form.dataset.sending) return;
    const mine = ++turn;
    form.dataset.sending = '1';
    trouble(false);
    const given = Object.assign(fields(form), { text: text, once: form.elements.once.value });
    try {
      const answer = await ask('POST', given);
      if (leaving) return;
      if (answer.leave) return leave();
      if (answer.status >= 400) return trouble(true, words.unsent);
      const now = byId('write') || form;
      if (now.elements.text.value.trim() === text) now.elements.text.value = '';
      now.elements.once.value = once();
      if (answer.status === 204) said(text);
      else if (mine === turn) swap(answer.html);
    } catch (error) {
      trouble(true, words.unsent);
    } finally {
      delete form.dataset.sending;
      fit();
    }
  }

  function once() {
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  // --- messages ---------------------------------------------------------------------------

  function item(kind, text, author, lang, voice) {
    const line = document.createElement('li');
    line.className = kind;
    if (lang) line.lang = lang;
    if (author) line.appendChild(Object.assign(document.createElement('b'), { className: 'who', textContent: author }));
    text.trim().split(/\n\s*\n/).forEach((part) => {
      const paragraph = line.appendChild(document.createElement('p'));
      part.split('\n').forEach((row) => paragraph.append(...phone(row)));
      if (paragraph.lastChild && paragraph.lastChild.nodeType === 3) paragraph.lastChild.data = paragraph.lastChild.data.trimEnd();
    });
    if (voice && voice.length) {
      const player = Object.assign(document.createElement('audio'), { controls: true, preload: 'none' });
      player.setAttribute('controlslist', 'nodownload');
      voice.forEach((one) => player.appendChild(Object.assign(document.createElement('source'), one)));
      line.appendChild(player);
    }
    return line;
  }

  function phone(row) {
    if (!/^\s*\+?\d[\d ]{1,18}\d\s*$/.test(row)) return [row + '\n'];
    const link = document.createElement('a');
    link.className = 'phone';
    link.href = 'tel:' + row.replace(/ /g, '');
    link.textContent = row.trim();
    return [link];
  }

  function put(line) {
    const log = byId('log');
    if (!log || on('cover')) return;
    log.appendChild(line);
    if (!document.activeElement || document.activeElement.id !== 'first' || on('talking')) {
      line.scrollIntoView({ block: 'end' });
    }
  }

  function said(text) {
    const line = item('mine', text, '', '');
    line.appendChild(Object.assign(document.createElement('small'), { textContent: words.sent }));
    put(line);
    announce(words.sent);
  }

  function heard(message) {
    const log = byId('log');
    if (!log || on('cover')) return;
    const known = message.n && log.querySelector('[data-n="' + Number(message.n) + '"]');
    const line = item('theirs', message.text, message.author, message.lang, message.voice);
    if (message.n) line.dataset.n = message.n;
    if (!known) {
      put(line);
      keepVoices(line);
    } else if (bare(known) !== bare(line)) { // corrected before it was known to be read
      known.replaceWith(line);
    }
    told.delete(String(message.n)); // it is asked for again
    read();
  }

  function bare(line) {
    return line.textContent.replace(/\s/g, '');
  }

  function corrected(message) {
    const log = byId('log');
    const old = log && log.querySelector('[data-n="' + Number(message.n) + '"]');
    if (old) {
      const line = item('theirs', message.text, message.author, message.lang, message.voice);
      line.dataset.n = message.n;
      old.replaceWith(line);
    }
    seen([String(message.n)]); // where it stands no more there is nothing to correct
  }

  // What stands in the log is read once the page can be seen. Each message is told by itself:
  // one that she has may have come before one that she has not.
  function unread() {
    const log = byId('log');
    if (!log || document.hidden || on('cover')) return [];
    const numbers = Array.from(log.children, (line) => line.dataset.n);
    return numbers.filter((number) => number && !told.has(number)).slice(-100);
  }

  function read() {
    const numbers = unread();
    if (numbers.length) seen(numbers);
  }

  async function seen(numbers) {
    const given = new URLSearchParams({ n: numbers.join(' ') });
    try {
      const answer = await fetch('/seen', { method: 'POST', body: given, keepalive: true });
      if (answer.ok) numbers.forEach((number) => told.add(number));
    } catch (error) { return; } // it is told again
  }

  function openStream() {
    if (stream && stream.readyState !== 2) return;
    if (!window.EventSource) return;
    stream = new EventSource('/live');
    stream.onopen = () => body.classList.add('live');
    stream.onerror = () => body.classList.remove('live');
    stream.onmessage = (event) => heard(JSON.parse(event.data));
    stream.addEventListener('window', (event) => {
      if (!body.classList.contains('busy')) swap(JSON.parse(event.data).html);
    });
    stream.addEventListener('correct', (event) => corrected(JSON.parse(event.data)));
    stream.addEventListener('cover', () => cover());
    stream.addEventListener('wipe', (event) => {
      const wiped = JSON.parse(event.data);
      if (wiped.all) return cover();
      wiped.n.forEach((n) => {
        const line = main.querySelector('[data-n="' + (Number(n) || 0) + '"]');
        if (line) { hush(line); line.remove(); }
      });
    });
  }

  function closeStream() {
    if (stream) stream.close();
    stream = null;
    body.classList.remove('live');
  }

  // --- photos and voice -------------------------------------------------------------------

  const canRecord = !!(window.MediaRecorder && navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
  let recorder = null;

  // The server keeps a voice for minutes: the page fetches it at once, and forgets it with itself.
  function keepVoices(part) {
    part.querySelectorAll('audio:not([src]):not([data-kept])').forEach(async (player) => {
      player.dataset.kept = '';
      const sources = Array.from(player.querySelectorAll('source'));
      const source = sources.find((one) => player.canPlayType(one.type)) || sources[0];
      player.setAttribute('aria-label', player.parentElement.querySelector('p').innerText);
      try {
        const answer = await fetch(source.src, { cache: 'no-store' });
        if (answer.ok) player.src = URL.createObjectURL(await answer.blob());
      } catch (error) { return; } // it can still be played from where it lies
      if (!player.isConnected) hush(player.parentElement);
    });
  }

  function hush(part) {
    part.querySelectorAll('audio').forEach((player) => {
      player.pause();
      if (player.src) URL.revokeObjectURL(player.src);
    });
  }

  function keepMedium(fresh) {
    const was = byId('media');
    const form = fresh.getElementById('media');
    if (!was || !form) return dropRecording();
    was.elements.at.value = form.elements.at.value;
    form.replaceWith(was);
  }

  async function give(form) {
    const file = form.elements.medium.files[0];
    if (!file || form.dataset.sending) return;
    if (file.size > Number(form.dataset.most)) return trouble(true, words.large);
    const mine = ++turn;
    form.dataset.sending = '1';
    trouble(false);
    body.classList.add('busy');
    const given = new FormData(form);
    given.set('seen', unread().join(' '));
    if (stream && stream.readyState === 1) given.set('live', '1');
    given.set('medium', file, '1'); // its name stays here
    try {
      const answer = await ask('POST', given, UPLOAD);
      if (leaving) return;
      if (answer.leave) return leave();
      if (answer.status >= 400) return trouble(true, answer.status === 413 ? words.large : words.unsent);
      form.reset();
      form.elements.once.value = once();
      if (answer.status === 204) said(file.type.startsWith('image/') ? words.photo : words.voice);
      else if (mine === turn) swap(answer.html);
    } catch (error) {
      if (!leaving) trouble(true, words.unsent);
    } finally {
      delete form.dataset.sending;
      if (mine === turn) body.classList.remove('busy');
    }
  }

  async function record() {
    if (recorder) return recorder.stop();
    let microphone;
    try {
      microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      return trouble(true, words.deaf);
    }
    const quiet = () => microphone.getTracks().forEach((track) => track.stop());
    if (leaving || recorder || !byId('media')) return quiet();
    const mine = recorder = new MediaRecorder(microphone);
    const parts = [];
    const timer = setTimeout(() => mine.stop(), RECORD);
    mine.ondataavailable = (event) => parts.push(event.data);
    mine.onstop = () => {
      clearTimeout(timer);
      quiet();
      if (recorder !== mine) return; // dropped
      recorder = null;
      showRecording();
      const list = new DataTransfer();
      list.items.add(new File(parts, '1', { type: mine.mimeType.split(';')[0] }));
      byId('medium').files = list.files;
    };
    mine.start();
    showRecording();
  }

  function dropRecording() {
    const mine = recorder;
    recorder = null;
    if (mine && mine.state !== 'inactive') mine.stop();
  }

  function showRecording() {
    const button = byId('record');
    button.setAttribute('aria-pressed', recorder ? 'true' : 'false');
    button.lastElementChild.textContent = recorder ? words.recorded : words.record;
  }

  // --- covering and leaving ---------------------------------------------------------------

  function wipe() {
    turn++;
    told.clear();
    silence();
    hush(main);
    dropRecording();
    closeStream();
    status.textContent = '';
    body.classList.remove('busy');
    main.replaceChildren();
  }

  // It stands at once, as the page brought it: the server may be away, and 112 must not wait.
  function cover() {
    wipe();
    swap(spare);
    renew(turn);
  }

  async function renew(mine) {
    if (leaving || mine !== turn) return;
    try {
      const answer = await ask('GET');
      if (leaving || mine !== turn || (answer.status < 400 && swap(answer.html))) return;
    } catch (error) { /* the line is away */ }
    setTimeout(() => renew(mine), AGAIN);
  }

  function leave(button) {
    leaving = true;
    veil.hidden = false;
    const value = button ? button.value : (main.querySelector('[data-leave]') || {}).value;
    const given = byId('taps') ? fields(byId('taps')) : {};
    wipe();
    if (value && navigator.sendBeacon) {
      navigator.sendBeacon('/', new URLSearchParams(Object.assign(given, { p: value, away: '1' })));
    }
    const framed = window.self !== window.top && body.dataset.framed;
    location.replace(framed || body.dataset.exit);
  }

  window.addEventListener('pageshow', (event) => {
    if (!event.persisted) return;
    leaving = false;
    veil.hidden = true;
    cover();
  });

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      hiddenSince = Date.now();
      silence();
      main.querySelectorAll('audio').forEach((player) => player.pause());
    } else if (Date.now() - hiddenSince > IDLE || Date.now() - touched > IDLE) {
      touched = Date.now();
      cover();
    } else {
      read();
    }
  });

  setInterval(() => {
    if (Date.now() - touched < IDLE || leaving) return;
    if (on('cover') && document.hidden) return;
    touched = Date.now();
    cover();
  }, 5000);

  ['pointerdown', 'keydown', 'wheel', 'touchmove', 'input'].forEach((kind) => {
    document.addEventListener(kind, () => { touched = Date.now(); }, { passive: true, capture: true });
  });

  // --- Shift three times --------------------------------------------------------------------

  let pressed = 0;
  let modified = false;
  let expiry = 0;

  function count(number) {
    pressed = number;
    dots.hidden = number === 0 || on('cover');
    Array.from(dots.children).forEach((dot, place) => dot.classList.toggle('on', place < number));
  }

  function expire() {
    clearTimeout(expiry);
    if (!pressed) return;
    count(0);
    announce(words.over);
  }

  document.addEventListener('keyup', (event) => {
    const alone = event.key === 'Shift' && !modified;
    modified = event.shiftKey;
    if (!alone) return expire();
    clearTimeout(expiry);
    count(pressed + 1);
    if (pressed > 2) { count(0); return leave(); }
    announce(pressed === 1 ? words.two : words.one);
    expiry = setTimeout(expire, SHIFT);
  }, true);

  // --- reading aloud ------------------------------------------------------------------------

  function voice() {
    const lang = document.documentElement.lang;
    const speaks = (one) => one.localService && one.lang.slice(0, 2).toLowerCase() === lang.slice(0, 2);
    return speech && speech.getVoices().find(speaks); // a voice from the network would hear it all
  }

  function silence() {
    if (speech) speech.cancel();
    listen.hidden = !voice();
    listen.setAttribute('aria-pressed', 'false');
    listen.lastElementChild.textContent = words.listen || '';
  }

  function speak() {
    const parts = Array.from(main.querySelectorAll('#first, .said, .choice, #log li'));
    parts.forEach((part, place) => {
      const number = part.querySelector('b');
      const text = part.matches('.choice') && number
        ? number.textContent + '. ' + part.querySelector('span').textContent
        : part.innerText;
      const said = new SpeechSynthesisUtterance(text);
      said.lang = part.lang || document.documentElement.lang;
      said.voice = voice();
      said.rate = 0.9;
      if (place === parts.length - 1) said.onend = silence;
      speech.speak(said);
    });
    listen.setAttribute('aria-pressed', 'true');
    listen.lastElementChild.textContent = words.stop;
  }

  if (speech && speech.addEventListener) {
    speech.addEventListener('voiceschanged', () => { listen.hidden = !voice(); });
  }

  // --- hands --------------------------------------------------------------------------------

  function fit() {
    const field = byId('text');
    if (!field) return;
    const rows = Math.min(4, field.value.split('\n').length + Math.floor(field.value.length / 38));
    field.rows = Math.max(1, rows);
  }

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button, .skip');
    if (!button) return;
    if (button === listen) {
      if (listen.getAttribute('aria-pressed') === 'true') silence(); else speak();
    } else if (button.id === 'record') {
      record();
    } else if (button.hasAttribute('data-leave')) {
      event.preventDefault();
      leave(button);
    } else if (button.name === 'p') {
      event.preventDefault();
      tap(button);
    } else if (button.matches('a.skip')) {
      event.preventDefault();
      byId('first').focus();
    }
  });

  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'write' && event.target.id !== 'media') return;
    event.preventDefault();
    if (event.target.id === 'media') give(event.target); else send(event.target);
  });

  document.addEventListener('input', (event) => { if (event.target.id === 'text') fit(); });

  // The keyboard of a phone takes half the screen: what was said last stays above it.
  window.addEventListener('resize', () => {
    const log = byId('log');
    const typing = document.activeElement && document.activeElement.id === 'text';
    if (log && log.lastElementChild && on('talking') && typing) log.lastElementChild.scrollIntoView({ block: 'end' });
  });

  document.addEventListener('keydown', (event) => {
    const plain = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (event.target.id !== 'text' || !plain || !window.matchMedia('(pointer: fine)').matches) return;
    event.preventDefault();
    const form = byId('write');
    if (form.requestSubmit) form.requestSubmit(); else send(form);
  });

  ready();
  read();
})();
