// What is typed, kept in the browser: a draft for each open form, so that two windows never write over each other.
//
// A draft bears the name of the form that holds it and the time at which that form last lived. One whose form is
// gone (the window was closed, the browser died, the tablet slept too long) is offered to the next form, the oldest
// first. Presets are named sets of values, of the same user and table.

const BEAT_MS = 4000
const GONE_MS = 15000

const stored = (key) => {
  try { return JSON.parse(localStorage.getItem(key)) } catch { return null }
}
const keep = (key, value) => {
  try {
    if (value === null) localStorage.removeItem(key)
    else localStorage.setItem(key, JSON.stringify(value))
    return true
  } catch { return false }             // storage may be full or forbidden
}

class Drafts {
  constructor(place) {
    this.prefix = `${place}#`
    this.owner = newUuid()
    this.key = null
    this.timer = setInterval(() => this.beat(Date.now()), BEAT_MS)
    this.leave = () => this.beat(0)
    addEventListener("pagehide", this.leave)
  }
  // Drafts that no living form holds, the oldest first.
  free() {
    const found = []
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i)
        if (!key.startsWith(this.prefix) || key === this.key) continue
        const draft = stored(key)
        if (draft && typeof draft.texts === "object" && Date.now() - (draft.beat ?? 0) > GONE_MS) found.push({key, draft})
      }
    } catch { return [] }
    return found.sort((a, b) => (a.draft.at ?? 0) - (b.draft.at ?? 0))
  }
  take({key, draft}) {
    this.key = key
    keep(key, {...draft, owner: this.owner, beat: Date.now()})
  }
  get isMine() { return this.key !== null && stored(this.key)?.owner === this.owner }
  keep(draft) {
    // Another form took over what this one held while it slept: what is typed now is a draft of its own.
    if (this.key === null || (stored(this.key) !== null && !this.isMine)) this.key = this.prefix + newUuid()
    return keep(this.key, {...draft, owner: this.owner, beat: Date.now()})
  }
  beat(time) {
    if (this.isMine) keep(this.key, {...stored(this.key), beat: time})
  }
  get draft() { return this.key === null ? null : stored(this.key) }
  remove() {
    if (this.isMine) keep(this.key, null)
    this.key = null
  }
  close() {
    clearInterval(this.timer)
    removeEventListener("pagehide", this.leave)
    this.beat(0)
  }
}

// Where a form was when its page was loaded again, once: the key of its draft, the field, and what was selected in it.
const returned = (place, note) => {
  const key = `${place}/return`
  try {
    if (note) sessionStorage.setItem(key, JSON.stringify(note))
    const found = JSON.parse(sessionStorage.getItem(key))
    if (!note) sessionStorage.removeItem(key)
    return found
  } catch { return null }              // storage may be forbidden
}

// The pinned values of a window, by the place of its draft; given some, they are kept.
const pinned = (place, texts = null) => {
  const key = `${place}/pinned`
  try {
    if (texts) sessionStorage.setItem(key, JSON.stringify(texts))
    return JSON.parse(sessionStorage.getItem(key)) ?? {}
  } catch { return {} }                // storage may be forbidden
}

// A list of presets with a button to fill one in, one to add, one to remove.
function presetBar(key, {values, apply, lost}) {
  const all = () => stored(key) ?? {}
  const list = make("select", {"aria-label": say("Preset")})
  const name = make("input", {type: "text", "aria-label": say("Preset name"), placeholder: say("Name"), maxlength: "60"})
  const naming = make("span", {class: "naming", hidden: true}, name)
  const button = (text, action, label = text) => make("button", {type: "button", class: "link", "aria-label": label, onclick: action}, text)
  const status = make("span", {class: "hidden", role: "status"})
  const show = (chosen = "") => {
    const names = Object.keys(all()).sort()
    list.replaceChildren(make("option", {value: ""}, say("Choose a preset…")),
      ...names.map((one) => make("option", {value: one}, one)))
    list.value = chosen
    list.hidden = names.length === 0
    use.hidden = remove.hidden = chosen === ""
  }
  const store = () => {
    const text = name.value.trim()
    if (!text) { name.focus(); return }
    const {[text]: before} = all()
    const isKept = keep(key, {...all(), [text]: values()})
    if (before && isKept) {
      lost(say("The preset {name} was replaced.", {name: text}), () => {
        keep(key, {...all(), [text]: before})
        show(text)
        list.focus()
      })
    }
    naming.hidden = true
    add.hidden = false
    show(text)
    status.textContent = isKept ? say("Preset {name} saved.", {name: text}) : say("This browser keeps no presets.")
    add.focus()
  }
  const add = button(say("Save as preset…"), () => { naming.hidden = false; add.hidden = true; name.value = list.value; name.select() })
  const remove = button(say("Remove"), () => {
    const {[list.value]: gone, ...rest} = all(), name = list.value
    keep(key, rest)
    show()
    ;(list.hidden ? add : list).focus()
    lost(say("The preset {name} was removed.", {name}), () => {
      keep(key, {[name]: gone, ...all()})      // what was saved under this name since then stays
      show(name)
      list.focus()
    })
  }, say("Remove this preset"))
  naming.append(button(say("Save preset"), store))
  name.onkeydown = (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return
    event.preventDefault()
    event.stopPropagation()
    if (event.key === "Enter") store()
    else { naming.hidden = true; add.hidden = false; add.focus() }
  }
  // To look through the list changes nothing: what it names is filled in by the button, or by Enter.
  const fill = () => {
    const chosen = all()[list.value]
    if (chosen) apply(chosen, list.value)
  }
  list.onchange = () => { use.hidden = remove.hidden = list.value === "" }
  list.onkeydown = (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    fill()
  }
  const use = button(say("Fill in"), fill, say("Fill in this preset"))
  const bar = make("div", {class: "presets"}, list, use, remove, naming, add, status)
  show()
  return bar
}
