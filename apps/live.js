// Shows HTML made in Python and keeps it up to date in place; reports what the visitor does with it.
//
// New HTML is not put in place of the old: only texts and attributes that differ are changed, and elements with the
// same data-key stay the same elements. So focus, text selection, scroll positions and opened details survive.

const DEBOUNCE_MS = 150
const BUSY_MS = 1500

const keyOf = node => (node.nodeType === 1 ? node.getAttribute("data-key") : null)
const isAlike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b)
const isField = element => /^(INPUT|SELECT|TEXTAREA)$/.test(element.nodeName)

function morphAttributes(old, fresh) {
  for (const {name, value} of [...fresh.attributes]) {
    if (name === "open" && old.nodeName === "DETAILS") continue // the visitor's
    if (old.getAttribute(name) !== value) old.setAttribute(name, value)
  }
  for (const {name} of [...old.attributes]) {
    if (name === "open" && old.nodeName === "DETAILS") continue
    if (!fresh.hasAttribute(name)) old.removeAttribute(name)
  }
}

function morphField(old, fresh, isFocused) {
  if (old.type === "checkbox") old.checked = fresh.checked
  else if (isFocused) return // what is being typed or chosen wins
  else if (old.value !== fresh.value) old.value = fresh.value
}

function morphChildren(old, fresh, focused) {
  const wanted = new Set([...fresh.childNodes].map(keyOf).filter(key => key !== null))
  const keyed = new Map()
  for (const child of old.childNodes) if (keyOf(child) !== null) keyed.set(keyOf(child), child)
  let cursor = old.firstChild
  for (const next of [...fresh.childNodes]) {
    const key = keyOf(next)
    // What is gone is passed over and removed, so that what stays need not be moved: moving loses the focus.
    while (cursor && keyOf(cursor) !== null && !wanted.has(keyOf(cursor))) {
      const gone = cursor
      cursor = cursor.nextSibling
      gone.remove()
    }
    const match = key === null ? cursor : keyed.get(key)
    if (match && isAlike(match, next)) {
      if (match === cursor) cursor = cursor.nextSibling
      else old.insertBefore(match, cursor)
      morph(match, next, focused)
    } else {
      old.insertBefore(next, cursor)
    }
  }
  while (cursor) {
    const gone = cursor
    cursor = cursor.nextSibling
    gone.remove()
  }
}

function morph(old, fresh, focused) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue
    return
  }
  morphAttributes(old, fresh)
  morphChildren(old, fresh, focused)
  if (isField(old)) morphField(old, fresh, old === focused)
}

export function render({model}) {
  const root = document.createElement("div")
  root.className = "live"
  root.tabIndex = -1
  const timers = new Map()
  let lastPress = -BUSY_MS

  function update() {
    const template = document.createElement("template")
    template.innerHTML = model.html
    const focused = root.getRootNode().activeElement
    const wasInside = focused !== null && focused !== root && root.contains(focused)
    const above = []
    for (let node = focused; node && node !== root; node = node.parentNode) above.push(node)
    morphChildren(root, template.content, focused)
    tick()
    arrive()
    if (wasInside && !root.contains(focused)) {
      // The element in use is gone: go on from where it stood.
      const near = above.find(node => root.contains(node)) ?? root
      if (near !== root) near.tabIndex = -1
      near.focus({preventScroll: true})
    }
  }

  function tick() {
    for (const element of root.querySelectorAll("[data-clock]")) {
      if (element.textContent !== model.clock) element.textContent = model.clock
    }
  }

  const send = (element, value, checked = false) =>
    model.send_msg({action: element.dataset.action, value, checked})

  root.addEventListener("click", event => {
    const element = event.target.closest?.("[data-action]")
    if (!element || isField(element) || element.nodeName === "DETAILS") return
    if (element.getAttribute("aria-disabled") === "true" || element.getAttribute("aria-busy") === "true") return
    // A double click is one click, even if the answer came in between and another button stands there now.
    if (event.detail > 1 && event.timeStamp - lastPress < BUSY_MS) return
    lastPress = event.timeStamp
    element.setAttribute("aria-busy", "true")
    setTimeout(() => element.removeAttribute("aria-busy"), BUSY_MS)
    send(element, element.dataset.value ?? "")
  })
  root.addEventListener("change", event => {
    const element = event.target.closest?.("[data-action]")
    if (element && isField(element) && element.type !== "search") send(element, element.value, element.checked === true)
  })
  root.addEventListener("input", event => {
    const element = event.target
    if (element.type !== "search" || !element.dataset.action) return
    clearTimeout(timers.get(element))
    timers.set(element, setTimeout(() => send(element, element.value), DEBOUNCE_MS))
  })
  root.addEventListener("toggle", event => {
    const element = event.target
    if (element.dataset?.action) send(element, element.dataset.value ?? "", element.open)
  }, true)

  // A menu is open while the visitor is in it.
  root.addEventListener("focusout", event => {
    const menu = event.target.closest?.("details.menu[open]")
    if (menu && !menu.contains(event.relatedTarget)) menu.open = false
  })
  root.addEventListener("keydown", event => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]")
    if (!menu) return
    menu.open = false
    menu.querySelector("summary").focus()
  })

  // A heading with `data-arrival` is where a visitor goes on when its value is another one, unless they are elsewhere,
  // or at a field, which they have just changed.
  // While a window is being set up its parts are moved, and what is moved loses the focus again: so the focus is given
  // until it has stayed for half a second.
  let arrived = ""
  function arrive() {
    const heading = root.querySelector("[data-arrival]")
    const place = heading?.dataset.arrival ?? ""
    if (place === arrived) return
    arrived = place
    if (heading) focusArrival(heading, place)
  }
  function focusArrival(heading, place, tries = 0, stayed = 0) {
    if (tries > 600 || stayed > 30 || arrived !== place) return
    const active = document.activeElement
    const inner = root.isConnected ? root.getRootNode().activeElement : null
    const isFree = active === null || active === document.body || active.id === "heading"
    if (document.body.classList.contains("waiting")) stayed = 0
    else if (inner === heading) stayed += 1
    else if (isFree || (stayed === 0 && root.contains(inner) && !isField(inner))) heading.focus({preventScroll: true})
    else return
    requestAnimationFrame(() => focusArrival(heading, place, tries + 1, stayed))
  }

  model.on("html", update)
  model.on("clock", tick)
  update()
  return root
}
