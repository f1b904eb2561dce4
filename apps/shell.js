// The shell around the pages: navigation, search, colours, messages and the state of the connection. It runs
// before the widget libraries have arrived, so the window is usable at once; `bridge.js` connects it to Python.
window.djPanelShell = (() => {
  "use strict"
  const $ = (id) => document.getElementById(id)
  const body = document.body
  const siteTitle = document.title
  const links = [...document.querySelectorAll(".nav a")]
  const stored = (key, value) => {
    try {
      if (value !== undefined) localStorage.setItem(key, value)
      return localStorage.getItem(key)
    } catch { return null }          // storage may be forbidden; then nothing is remembered
  }
  const announce = (text) => { $("polite").textContent = text }

  let port = null                    // {send(data)}: to Python
  let asked = 0                      // number of the latest navigation of this window
  let shown = null                   // page and path of the view on the screen; null before the first
  let going = null                   // those of the view that was asked for last
  let slow = 0

  // ---- where we are
  const here = () => location.hash || "#/"
  const place = (hash) => hash.split("?")[0]
  const pageOf = (hash) => place(hash).split("/")[1] || "home"
  const decoded = (text) => { try { return decodeURIComponent(text) } catch { return text } }

  function setTitle(title) {
    if ($("heading").textContent !== title) $("heading").textContent = title
    document.title = title && title !== siteTitle ? `${title} · ${siteTitle}` : siteTitle
  }

  function markNavigation() {
    const page = pageOf(here())
    for (const link of links) {
      const active = link.dataset.page === page || link.dataset.also.split(" ").includes(page)
      if (active) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
    }
  }

  function startWaiting() {
    markNavigation()
    if (going !== place(here())) leaveNotices()
    going = place(here())
    body.classList.add("busy")
    $("main").setAttribute("aria-busy", "true")
    clearTimeout(slow)
    if (place(here()) === shown) return
    const link = links.find((a) => place(a.hash) === place(here()))
    const named = place(here()).split("/").slice(2).map(decoded).join(" / ")
    setTitle(link ? link.textContent.trim() : named || $("heading").textContent)
    slow = setTimeout(() => body.classList.add("waiting"), shown === null ? 0 : 120)
  }

  // ---- restrictions: parameters of the address that stay when the visitor goes elsewhere
  let carried = []                   // parameters as they stand in the address
  const parameters = (hash) => (hash.split("?")[1] ?? "").split("&").filter(Boolean)
  const isRestriction = (pair) => /^r(\.|%2e)/i.test(pair)
  const withParameters = (hash, pairs) => place(hash) + (pairs.length ? `?${pairs.join("&")}` : "")
  const ARRIVED = {djPanel: true}    // marks entries of the history that have been here: Back shows them as they were

  function carry() {
    const pairs = parameters(here())
    const isNew = !history.state?.djPanel
    if (isNew && carried.length && !pairs.some(isRestriction)) {
      history.replaceState(ARRIVED, "", withParameters(here(), [...pairs, ...carried]))
    } else if (isNew) history.replaceState(ARRIVED, "", here())
    carried = parameters(here()).filter(isRestriction)
  }

  function drawRestrictions(notes) {
    const chips = carried.map((pair) => {
      const [name, ...rest] = pair.split("=").map((text) => decoded(text.replaceAll("+", " ")))
      const key = name.slice(2), text = rest.join("=")
      const label = `${key.split("@")[0]} ${/^[=<>!^]/.test(text) ? text.replace(/^(!=|<=|>=|[=<>!^])/, "$1 ") : `: ${text}`}`
      const button = make("button", {type: "button", className: "icon-button"}, svg('<path d="M4 4l8 8M12 4l-8 8"/>'))
      button.setAttribute("aria-label", say("Remove {restriction}", {restriction: label}))
      button.onclick = () => {
        carried = carried.filter((other) => other !== pair)
        history.pushState(ARRIVED, "", withParameters(here(), parameters(here()).filter((other) => other !== pair)))
        focusHeading()
        navigate()
      }
      const chip = make("span", {className: "restriction"}, make("b", {textContent: label}))
      if (notes[key]) chip.append(make("small", {textContent: notes[key]}))
      chip.classList.toggle("off", Boolean(notes[key]))
      chip.append(button)
      return chip
    })
    $("restrictions").replaceChildren(...chips)
    $("restrictions").hidden = !chips.length
  }

  function navigate() {
    carry()
    asked += 1
    closeDrawer()
    if ($("notices").contains(document.activeElement)) focusHeading()  // from where the next page takes the focus
    startWaiting()
    send({type: "route", hash: here(), number: asked})
  }

  // The Material page within brings a landmark of its own, when it is drawn and no sooner; a window has one.
  const watched = new WeakSet()
  function keepOneLandmark() {
    for (const {shadowRoot} of document.querySelectorAll("#stage > div > *")) {
      if (shadowRoot === null || watched.has(shadowRoot)) continue
      watched.add(shadowRoot)
      const mark = () => shadowRoot.querySelector("main:not([role])")?.setAttribute("role", "none")
      new MutationObserver(mark).observe(shadowRoot, {childList: true, subtree: true})
      mark()
    }
  }

  function settled({number, title, focus, is_new: isNew, fills, restricted}) {
    keepOneLandmark()
    if (number < asked) return
    carried = parameters(here()).filter(isRestriction)
    drawRestrictions(restricted ?? {})
    clearTimeout(slow)
    const first = shown === null
    const moved = shown !== place(here())
    shown = place(here())
    setTitle(title || $("heading").textContent)
    body.classList.toggle("fills", fills)
    // The new view was sent just before; two frames let it be drawn under the placeholder.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (number < asked) return
      body.classList.remove("busy", "waiting")
      $("main").setAttribute("aria-busy", "false")
      if (moved) $("main").scrollTop = 0
      // A view that was made anew at the same place has taken along whatever had the focus in the old one.
      const isLost = document.activeElement === document.body || $("stage").contains(document.activeElement)
      if (!first && focus && (moved || (isNew && isLost))) focusHeading()
      if (!first && moved && !focus) announce(title)
    }))
  }

  function write(hash, replace) {
    if (hash === location.hash) return
    if (replace) history.replaceState(ARRIVED, "", hash)
    else history.pushState(ARRIVED, "", hash)
    carried = parameters(hash).filter(isRestriction)
  }

  function send(data) { if (port && !isLost) port.send(data) }

  // ---- messages from Python
  function receive(data) {
    if (data.type === "settled") settled(data)
    else if (data.type === "go") { write(data.hash, data.replace); startWaiting() }
    else if (data.type === "record") { write(data.hash, true); shown = place(here()) }
    else if (data.type === "title") setTitle(data.title)
    else if (data.type === "tables") { tables = data.names; fillJump(); if (isEntered) jump() }
    else if (data.type === "notice") notify(data)
  }

  function attach(newPort, id) {
    port = newPort
    windowId = id
    if (!isLost) show("online")
    port.send({type: "hello", hash: here(), number: asked, dark: document.documentElement.dataset.theme === "dark"})
  }

  // ---- notices
  const MAX_NOTICES = 3
  const ICONS = {
    info: '<circle cx="8" cy="8" r="6"/><path d="M8 7.4v3.4M8 5.2v.01"/>',
    success: '<circle cx="8" cy="8" r="6"/><path d="M5.3 8.2l1.9 1.9 3.6-4"/>',
    warning: '<circle cx="8" cy="8" r="6"/><path d="M8 5v3.6M8 10.9v.01"/>',
    error: '<path d="M8 2l6.3 11.2H1.7z"/><path d="M8 6.4v3.2M8 11.4v.01"/>',
  }
  const svg = (paths) => {
    const box = document.createElement("template")
    box.innerHTML = `<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">${paths}</svg>`
    return box.content.firstChild
  }
  const make = (tag, props = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), props)
    element.append(...children)
    return element
  }

  function focusHeading() { $("heading").focus({preventScroll: true}) }
  function drop(notice) {
    if (notice.contains(document.activeElement)) focusHeading()
    notice.remove()
  }
  // What was said on the way to a page is seen there, and is out of the way on the next one.
  function leaveNotices() {
    for (const notice of $("notices").querySelectorAll(".notice:not([data-severity=error])")) {
      if (notice.dataset.moved) drop(notice)
      else notice.dataset.moved = "yes"
    }
  }

  function notify({message, severity, link, action}) {
    const close = make("button", {type: "button", className: "icon-button"}, svg('<path d="M4 4l8 8M12 4l-8 8"/>'))
    close.setAttribute("aria-label", say("Dismiss"))
    const text = make("div", {}, message)
    const notice = make("div", {className: "notice"}, svg(ICONS[severity]), text, close)
    notice.dataset.severity = severity
    notice.setAttribute("role", severity === "error" ? "alert" : "status")
    const more = make("div", {className: "more"})
    if (link) more.append(make("a", {href: link.hash, textContent: link.label}))
    if (action) {
      const button = make("button", {type: "button", className: "text-button", textContent: action.label})
      button.onclick = () => { send({type: "action", id: action.id}); drop(notice) }
      more.append(button)
    }
    if (more.children.length) text.append(more)
    close.onclick = () => drop(notice)
    $("notices").append(notice)
    while ($("notices").children.length > MAX_NOTICES) $("notices").firstChild.remove()
    if (severity !== "error") {
      const leave = () => { if (notice.matches(":hover, :focus-within")) setTimeout(leave, 2000); else drop(notice) }
      setTimeout(leave, more.children.length ? 30000 : 6000)
    }
  }

  // ---- connection
  const RETRY_MS = [500, 1000, 2000, 4000, 8000]
  let windowId = ""                  // by which the server knows this window
  let hurry = () => {}               // ends the pause before the next try
  let isLost = false
  let isOver = false                 // the server knows nothing of this window any more
  let hideBanner = 0

  function show(state) {
    const label = {connecting: say("Connecting"), online: say("Connected"), lost: say("Not connected")}[state]
    $("status").dataset.state = state
    $("status").lastElementChild.textContent = $("status").title = label
  }
  function banner(kind, text, label = "", act = null) {
    clearTimeout(hideBanner)
    if ($("banner-text").textContent !== text) $("banner-text").textContent = text
    $("banner").dataset.state = kind
    $("banner-button").textContent = label
    $("banner-button").onclick = act
    $("banner").hidden = false
  }
  const pause = (ms) => new Promise((done) => { hurry = done; setTimeout(done, ms) })
  const isTyping = () => {
    let element = document.activeElement
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
    return element !== null && (element.isContentEditable || /^(INPUT|TEXTAREA)$/.test(element.tagName))
  }

  // Forms that keep what is typed in the browser. Each says whether all of it is kept (`isKept`), and `leave` notes
  // where it was, so that it goes on there when the page has been loaded again.
  const keepers = new Set()
  function keep(keeper) {
    keepers.add(keeper)
    return () => keepers.delete(keeper)
  }

  // Bokeh would give up after a few tries, and would fill this window from a new session if its own is gone. A tablet
  // that was asleep must come back however late, and to a new session only by loading the page.
  async function lost(reconnect) {
    if (isLost) return
    isLost = true
    show("lost")
    for (let tries = 0; isLost; tries++) {
      banner("lost", navigator.onLine === false
        ? say("This device is offline. Nothing is saved until it is connected again.")
        : say("The connection to the server is lost. Trying again; nothing is saved until it is back."),
      say("Try now"), () => hurry())
      let known = null
      try {
        known = (await (await fetch(`window/${windowId}`, {cache: "no-store"})).json()).known
      } catch { /* not reachable yet, or a proxy answers in its place */ }
      if (known === false || (known && tries > 20)) return startAnew()
      if (known) reconnect()
      await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)])
    }
  }
  function loadAgain() {
    for (const keeper of keepers) keeper.leave()
    location.reload()
  }
  function startAnew() {
    if (keepers.size ? [...keepers].every((keeper) => keeper.isKept) : !isTyping()) return loadAgain()
    isOver = true
    banner("lost", say("The server is back, but this page must be loaded again. Copy what you have not saved."),
      say("Load again"), loadAgain)
  }
  function back() {
    isLost = false
    hurry()
    show("online")
    banner("back", say("Connected again."))
    hideBanner = setTimeout(() => { $("banner").hidden = true }, 4000)
  }
  function cannotStart() {
    if ($("status").dataset.state !== "connecting") return
    show("lost")
    banner("lost", say("The page could not connect to the server."), say("Load again"), () => location.reload())
  }

  // ---- colours
  function setDark(dark, remember) {
    document.documentElement.dataset.theme = dark ? "dark" : "light"
    $("theme").setAttribute("aria-pressed", String(dark))
    document.cookie = `dj-panel-theme=${dark ? "dark" : "light"}; SameSite=Lax; Path=/; Max-Age=31536000`
    if (remember) { stored("dj-panel-theme", dark ? "dark" : "light"); send({type: "dark", dark}) }
  }

  // ---- who works here: the names used on this device, and another one
  function people() {
    try {
      const names = JSON.parse(stored("dj-panel-people"))
      return Array.isArray(names) ? names.filter((name) => typeof name === "string" && name) : []
    } catch { return [] }
  }
  const keepPeople = (names) => stored("dj-panel-people", JSON.stringify(names.slice(0, 12)))
  function workAs(name) {
    const {account, user, cookie} = $("people").dataset
    if (name !== account) keepPeople([name, ...people().filter((other) => other !== name)])
    if (name === user) { $("people").close(); return }
    const age = name === account ? 0 : 31536000
    document.cookie = `${cookie}=${encodeURIComponent(name)}; SameSite=Lax; Path=/; Max-Age=${age}`
    location.reload()                // drafts are kept by the browser, each under the name of its writer
  }
  function fillPeople() {
    const {account, user} = $("people").dataset
    const names = [...new Set([...people(), user, account])].sort((a, b) => a.localeCompare(b))
    $("people-list").replaceChildren(...names.map((name) => {
      const row = document.createElement("li")
      const pick = document.createElement("button")
      Object.assign(pick, {type: "button", textContent: name, onclick: () => workAs(name)})
      if (name === user) pick.setAttribute("aria-current", "true")
      row.append(pick)
      if (name === user || name === account) return row
      const forget = document.createElement("button")
      Object.assign(forget, {type: "button", className: "icon-button", textContent: "×"})
      forget.setAttribute("aria-label", say("Forget {name} on this device", {name}))
      forget.onclick = () => { keepPeople(people().filter((other) => other !== name)); fillPeople(); $("people-name").focus() }
      row.append(forget)
      return row
    }))
  }
  function wirePeople() {
    const {account, user} = $("people").dataset
    if (user !== account && !people().includes(user)) keepPeople([user, ...people()])
    $("person").onclick = () => {
      closeDrawer()
      fillPeople()
      $("people-name").value = ""
      $("people").showModal()
    }
    $("people-cancel").onclick = () => $("people").close()
    $("people-form").onsubmit = (event) => {
      event.preventDefault()
      const name = $("people-name").value.trim().replace(/\s+/g, " ")
      if (name) workAs(name)
      else $("people-name").focus()
    }
  }

  // ---- drawer of a narrow window
  const narrow = matchMedia("(max-width: 900px)")
  function closeDrawer() {
    const inside = $("nav").contains(document.activeElement)
    body.classList.remove("drawer-open")
    $("menu").setAttribute("aria-expanded", "false")
    if (inside && narrow.matches) $("menu").focus()
  }
  function openDrawer() {
    body.classList.add("drawer-open")
    $("menu").setAttribute("aria-expanded", "true")
    const target = links.find((a) => a.hasAttribute("aria-current")) ?? links[0]
    target.focus()
  }

  // ---- jump to a table
  let tables = null                  // the names of all tables; null until they have come
  let chosen = 0
  let isEntered = false              // Enter was pressed before they came: it counts when they do
  function matches(text) {
    const wanted = text.trim().toLowerCase()
    const entries = [
      ...links.map((a) => ({name: a.textContent.trim(), hint: say("Page"), hash: a.getAttribute("href")})),
      ...(tables ?? []).map((name) => ({
        name: name.slice(name.indexOf(".") + 1), hint: name.slice(0, Math.max(name.indexOf("."), 0)), full: name,
        hash: `#/table/${encodeURIComponent(name)}`,
      })),
    ]
    if (!wanted) return entries.slice(0, 60)
    const score = ({name, full = name}) => {
      const short = name.toLowerCase(), long = full.toLowerCase()
      if (short.startsWith(wanted)) return 0
      if (short.includes(wanted)) return 1
      if (long.includes(wanted)) return 2
      let at = -1
      for (const letter of wanted) if ((at = long.indexOf(letter, at + 1)) < 0) return 9
      return 3
    }
    return entries.map((entry) => [score(entry), entry]).filter(([s]) => s < 9)
      .sort(([a, x], [b, y]) => a - b || x.name.length - y.name.length).slice(0, 60).map(([, entry]) => entry)
  }
  function fillJump() {
    if ($("jump-panel").hidden) return
    const {hash, text} = $("jump-list").children[chosen]?.dataset ?? {}
    const found = matches($("jump").value)
    $("jump-list").replaceChildren(...found.map((entry, i) => {
      const item = make("li", {id: `jump-${i}`}, make("b", {textContent: entry.name}), make("small", {textContent: entry.hint}))
      item.setAttribute("role", "option")
      item.onmousedown = (event) => { event.preventDefault(); leaveJump(); location.hash = entry.hash }
      Object.assign(item.dataset, {hash: entry.hash, text: $("jump").value})
      return item
    }))
    $("jump-none").hidden = found.length > 0 || tables === null
    // Names that come anew, under what is typed already, leave what was walked to.
    choose(text === $("jump").value ? Math.max(found.findIndex((entry) => entry.hash === hash), 0) : 0)
  }
  function choose(index) {
    const items = [...$("jump-list").children]
    chosen = items.length ? (index + items.length) % items.length : 0
    items.forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)))
    if (items.length) $("jump").setAttribute("aria-activedescendant", items[chosen].id)
    else $("jump").removeAttribute("aria-activedescendant")
    items[chosen]?.scrollIntoView({block: "nearest"})
  }
  function openJump() {
    if (!$("jump-panel").hidden) return
    $("jump-panel").hidden = false
    $("jump").setAttribute("aria-expanded", "true")
    send({type: "tables"})
    fillJump()
  }
  function jump() {
    isEntered = tables === null
    const item = $("jump-list").children[chosen]
    if (!item || isEntered) return
    const hash = item.dataset.hash
    leaveJump()
    location.hash = hash
  }
  function leaveJump() {
    isEntered = false
    $("jump-panel").hidden = true
    $("jump").setAttribute("aria-expanded", "false")
    $("jump").removeAttribute("aria-activedescendant")
    $("jump").value = ""
    $("jump").blur()
  }
  let before = null
  function focusJump() {
    before = document.activeElement
    $("jump").focus()
    openJump()
  }

  // ---- wiring
  addEventListener("hashchange", navigate)
  addEventListener("online", () => hurry())
  document.addEventListener("visibilitychange", () => { if (!document.hidden) hurry() })
  addEventListener("pagehide", (event) => { if (!event.persisted) send({type: "leave"}) })
  $("language")?.addEventListener("change", ({target}) => {
    document.cookie = `${target.dataset.cookie}=${target.value}; SameSite=Lax; Path=/; Max-Age=31536000`
    location.reload() // drafts are kept by the browser
  })
  if ($("person")) wirePeople()
  $("theme").onclick = () => setDark(document.documentElement.dataset.theme !== "dark", true)
  $("menu").onclick = () => (body.classList.contains("drawer-open") ? closeDrawer() : openDrawer())
  $("backdrop").onclick = closeDrawer
  narrow.addEventListener("change", closeDrawer)
  for (const link of links) link.addEventListener("click", closeDrawer)
  $("skip").onclick = (event) => { event.preventDefault(); $("heading").focus(); $("main").scrollTop = 0 }
  $("jump").onfocus = openJump
  $("jump").oninput = () => { isEntered = false; openJump(); fillJump() }
  $("search").addEventListener("focusout", (event) => { if (!$("search").contains(event.relatedTarget)) leaveJump() })
  $("jump").onkeydown = (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1)
    else if (event.key === "ArrowUp") choose(chosen - 1)
    else if (event.key === "Escape") { leaveJump(); before?.focus?.() }
    else if (event.key === "Enter") { if (!event.isComposing) jump() }
    else return
    event.preventDefault()
  }
  $("slash").checked = stored("dj-panel-slash") !== "off"
  $("slash").onchange = () => stored("dj-panel-slash", $("slash").checked ? "on" : "off")
  if (/Mac|iP/.test(navigator.platform)) document.querySelector(".search > kbd").textContent = "⌘ K"
  addEventListener("keydown", (event) => {
    const target = event.composedPath()[0]
    const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      event.preventDefault()
      focusJump()
    } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && $("slash").checked) {
      event.preventDefault()
      focusJump()
    } else if (event.key === "Escape" && body.classList.contains("drawer-open")) closeDrawer()
  })

  setDark(document.documentElement.dataset.theme === "dark", false)
  carry()
  startWaiting()
  setTimeout(cannotStart, 30000)
  return {attach, receive, lost, back, keep, get isOver() { return isOver }}
})()
