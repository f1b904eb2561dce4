// The form of one table: layout, checks, the draft that survives everything but a receipt, saving, and what was saved.
//
// Python is asked by messages that carry a number and are answered under it. A draft lies in the browser's own
// storage from the first letter on; it is removed when, and only when, the server has said that the row is saved.

const ANSWER_MS = 15000
const RESEND_MS = 4000
const RECHECK_MS = 350
const LOOK_MS = 5000
const waiting = new Set()              // keys of drafts that were sent and not answered, while this window lives
const enterText = () => say("Ctrl+Enter saves; Enter alone does not, for it goes to the next field.")
const uploadingText = () => say("A file is still on its way. Save when it has arrived.")
let lastRequest = 0

class EntryForm extends Replacing {
  constructor(model, {onSaved = null} = {}) {
    super()
    this.model = model
    this.onSaved = onSaved
    this.about = model.form
    this.drafts = new Drafts(model.draft_key)
    this.ticks = {}
    this.nUploading = 0
    this.table = this.about.table
    this.store = new Store()
    this.requests = new Map()
    this.pins = new Set(stored(this.pinKey) ?? this.about.items.filter((item) => item.type === "picker").map((item) => item.id))
    this.isSaving = false
    this.token = newUuid()
    this.duplicate = null
    this.controls = this.about.items.map((item) => makeControl(item, this.store, this))
    this.grids = this.about.grids.map((grid) => new Grid(grid, this.store, this))
    this.build()
    this.undoing = make("div", {class: "undoing", role: "status", hidden: true})
    this.heard = make("p", {class: "hidden", role: "status"})
    this.summary.before(this.heard)
    this.bar.prepend(this.undoing)     // in sight wherever one is in the form
    offerScanning(this)
    this.listener = (message) => this.answered(message)
    model.on("msg:custom", this.listener)
    model.on("remove", () => { this.drafts.close(); this.scan?.close() })
    this.begin()
  }
  get draftKey() { return this.model.draft_key }
  get pinKey() { return this.model.pin_key }
  get zone() { return this.about.custom?.zone ?? "" }
  get maxBytes() { return this.about.custom?.max_bytes ?? 0 }
  get everyControl() { return [...this.controls, ...this.grids.flatMap((grid) => grid.controls)] }
  get counter() { return this.controls.find((control) => control.about.name === this.about.counter) }

  // ---- what is on the page
  build() {
    this.banner = make("div", {class: "restored", role: "status", hidden: true})
    this.summary = make("div", {class: "summary", role: "alert", tabindex: "-1", hidden: true})
    this.receipt = make("div", {class: "receipt", role: "status", hidden: true})
    const inKey = this.controls.filter((control) => control.about.in_key)
    const rest = this.controls.filter((control) => !control.about.in_key)
    const group = (title, controls) => controls.length === 0 ? "" : make("fieldset", {},
      make("legend", {}, title), make("div", {class: "fields"}, ...controls.map((control) => control.root)))
    for (const control of this.controls) {
      const name = control.about.id ?? control.about.name
      if (control === this.counter || control.about.kind === "none" || control.about.kind === "file") continue
      control.offerPin(this.pins.has(name), () => {
        if (this.pins.has(name)) this.pins.delete(name)
        else this.pins.add(name)
        keep(this.pinKey, [...this.pins])
        return this.pins.has(name)
      })
    }
    this.counter?.offerNumber(() => this.nextFree())
    this.button = make("button", {type: "button", class: "save"}, say("Save"))
    this.button.onclick = () => this.save()
    this.reset = make("button", {type: "button", class: "quiet"}, say("Clear"))
    this.reset.onclick = () => this.discard()
    this.state = make("span", {class: "state", role: "status"})
    const scanKey = `${this.pinKey}/scanner`
    this.scanner = make("input", {type: "checkbox", id: newId("scanner")})
    this.scanner.checked = stored(scanKey) === true
    this.scanner.onchange = () => keep(scanKey, this.scanner.checked || null)
    const scanner = make("label", {class: "scanner", for: this.scanner.id}, this.scanner, say("Enter goes to the next field"))
    this.presets = this.onSaved ? "" : presetBar(`${this.pinKey}/presets`, {
      values: () => this.presetValues(), apply: (...preset) => this.applyPreset(...preset)})
    this.saved = make("section", {class: "saved", hidden: true})
    this.blocker = this.about.blocker
      ? make("p", {class: "summary"}, icon("error"), make("span", {}, this.about.blocker)) : ""
    if (this.about.blocker) this.button.disabled = true
    this.bar = make("div", {class: "bar", tabindex: "-1"}, this.button, make("kbd", {}, say("Ctrl Enter")), this.reset, scanner, this.state)
    this.root = make("div", {class: "form"}, this.blocker, this.receipt, this.banner, this.summary,
      this.presets, group(say("Key"), inKey), group(say("Values"), rest), ...this.grids.map((grid) => grid.root),
      this.bar, this.saved)
    this.root.addEventListener("keydown", (event) => this.pressed(event))
    this.showSaved(this.model.recent)
  }
  hasFocus(element) { return element.getRootNode().activeElement === element }
  pressed(event) {
    if (event.isComposing || event.defaultPrevented) return
    const target = event.composedPath()[0]
    const control = this.controls.find((c) => c.root.contains(target))
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      target.blur?.()
      target.focus?.()
      this.save()
    } else if (event.key === "Enter" && target.tagName === "INPUT" && target.type === "checkbox") {
      event.preventDefault()
      target.click()
    } else if (event.key === "Enter" && this.isScanning && !event.shiftKey && (target === control?.input || target === this.button)) {
      event.preventDefault()
      if (control) this.advance(control)
      else this.sayEnter()
    } else if (event.key === "Enter" && target.tagName === "INPUT" && control && !this.isScanning) {
      event.preventDefault()
      this.save()
    } else if (event.altKey && event.code === "KeyP" && control?.togglePin) {
      event.preventDefault()
      control.togglePin()
    } else if (event.altKey && event.code === "KeyU" && !this.undoing.hidden) {
      event.preventDefault()
      this.undoing.querySelector("button").click()
    } else if (event.altKey && event.code === "KeyE" && control?.empty) {
      event.preventDefault()
      control.empty()
    } else if (event.altKey && event.code === "KeyN") {
      const filled = this.everyControl.find((c) => c.root.contains(target))
      if (filled?.fill) { event.preventDefault(); filled.fill() }
    }
  }

  // Whether each Enter may be the end of a code that was scanned: it leads on, and saves nothing.
  get isScanning() { return this.scanner?.checked === true }
  advance(control) {
    const open = this.controls.slice(this.controls.indexOf(control) + 1)
    const next = open.find(({about: {kind}}) => !["none", "file"].includes(kind))
    if (next) next.focus()
    else if (this.isScanning) { this.bar.focus(); this.sayEnter() }  // before the buttons: one more code presses none of them
    else this.button.focus()
  }
  sayEnter() {
    this.state.textContent = enterText()
    this.bar.addEventListener("focusout", () => { if (this.state.textContent === enterText()) this.state.textContent = "" }, {once: true})
  }

  // ---- asking Python
  request(kind, data = {}, timeout = ANSWER_MS) {
    const number = ++lastRequest
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.requests.delete(number)
        reject(Object.assign(new Error(say("The server does not answer. What you typed is kept here; try again.")), {isLost: true}))
      }, timeout)
      this.requests.set(number, {resolve, reject, timer})
      this.model.send_msg({type: kind, number, table: this.table, ...data})
    })
  }
  answered({number, error, ...answer}) {
    const asked = this.requests.get(number)
    if (!asked) return
    this.requests.delete(number)
    clearTimeout(asked.timer)
    if (error) asked.reject(new Error(error))
    else asked.resolve(answer)
  }

  // ---- beginning: a draft of before, or what the address says
  begin() {
    const [oldest] = this.drafts.free()
    if (oldest) this.restore(oldest)
    else {
      this.put({texts: this.model.prefill, parts: this.about.parts})
      if (!this.onSaved) this.look = setInterval(() => this.lookForDrafts(), LOOK_MS)
    }
    if (this.store.isEmpty === false) this.suggestNext()
    if (this.onSaved) requestAnimationFrame(() => this.focusFirst())
    else this.focusWhenShown()
  }
  restore(found) {
    const {key, draft} = found
    this.drafts.take(found)
    this.token = draft.token ?? this.token
    this.ticks = draft.ticks ?? {}
    this.put(draft)
    this.typedAt = draft.at
    if (waiting.has(key)) this.save()  // the same window came back: the answer got lost, and the token finds it
    else if (draft.isTyped) this.showRestored(draft)
  }
  // A window that died a moment ago still seems to hold its draft: it is looked for again until something is typed.
  lookForDrafts() {
    if (this.drafts.key !== null || this.isGone) { clearInterval(this.look); return }
    const [oldest] = this.drafts.free()
    if (!oldest || this.isSaving) return
    clearInterval(this.look)
    this.restore(oldest)
  }
  put({texts, parts = {}}) {
    this.store.set(Object.fromEntries(Object.entries(texts).filter(([, text]) => typeof text === "string")))
    for (const grid of this.grids) {
      grid.clear()
      grid.load(parts[grid.about.table] ?? [])
    }
  }
  showRestored(draft) {
    const at = new Date(draft.at)
    const day = at.toDateString() === new Date().toDateString() ? "" : ` on ${today(at)}`
    const doubt = draft.isSent ? say(" It was being saved, and no answer came: save again to be sure. It will be stored once.") : ""
    const lost = draft.files?.length ? say(" Choose again: {files}.", {files: draft.files.join(", ")}) : ""
    const button = make("button", {type: "button", class: "quiet"}, say("Discard"))
    button.onclick = () => this.discard()
    const others = this.drafts.free().length
    const more = others === 0 ? "" : others === 1 ? say(" Another draft is kept for afterwards.") : say(" {n} more drafts are kept for afterwards.", {n: String(others)})
    this.banner.replaceChildren(
      make("span", {}, say("Restored what you had typed at {time}.", {time: `${clock(at).slice(0, 5)}${day}`}) + doubt + lost + more), button)
    this.banner.hidden = false
  }
  // While a window is being set up its parts are moved, and a moved field loses the focus again: so the focus
  // is given until it has stayed for half a second, or the visitor has put it elsewhere.
  focusWhenShown(tries = 0, stayed = 0) {
    if (tries > 600 || stayed > 30) return
    const active = document.activeElement
    const isFree = active === null || active === document.body || active.id === "heading"
    if (document.body.classList.contains("waiting")) stayed = 0
    else if (!isFree && active.shadowRoot === null) return
    else if (this.controls.some((control) => control.hasFocus)) stayed += 1
    else if (isFree || stayed === 0) this.focusFirst()
    else return
    requestAnimationFrame(() => this.focusWhenShown(tries + 1, stayed))
  }
  focusFirst() {
    const open = this.controls.filter((control) => control.about.kind !== "none")
    const first = open.find((control) => !control.isFilled) ?? open[0]
    first?.focus()
  }

  // ---- typing
  changed(control) {
    this.keepDraft(true)
    this.hideReceipt()
    if (control && control.errorText && control instanceof Field) {
      clearTimeout(this.recheck)
      this.recheck = setTimeout(() => this.check(control, {force: true}), RECHECK_MS)
    }
    if (this.duplicate && control?.store === this.store && control.about.in_key) this.showSummary([])
  }
  announce(text) { this.heard.textContent = text }
  partChanged() { this.keepDraft(true); this.hideReceipt() }
  left(control) {
    if (control.isTouched && control.hasText) this.check(control, {})
    else if (!control.hasText && control.errorText) control.setError("")
  }
  async check(control, {force = false} = {}) {
    const texts = control.names.map((name) => control.store.get(name)).join("\n")
    if (!force && control.checkedText === texts) return
    control.checkedText = texts
    const host = control.host
    let answer
    try {
      answer = await host.request("check", {draft: control.store.draft(), only: control.names})
    } catch { return }                 // saving will tell
    if (texts !== control.names.map((name) => control.store.get(name)).join("\n")) return
    control.tell(control.names.map((name) => answer.errors[name]).find(Boolean) ?? "")
    this.showDoubts([control], answer.doubts ?? {})
    if (control.store !== this.store) return
    if (answer.duplicate) this.showDuplicate(answer.duplicate)
    else if (this.duplicate && control.about.in_key) this.showSummary([])
    if (control.about.in_key && this.counter && !this.counter.hasText) this.suggestNext({onlyNote: true})
  }
  // ---- what is unusual
  showDoubts(controls, doubts) {
    for (const control of controls) {
      const name = control.names.find((one) => doubts[one])
      control.setDoubt(name ? doubts[name] : "", name !== undefined && this.ticks[name] === control.store.get(name))
    }
  }
  ticked(control) {
    for (const name of control.names) {
      if (control.tick.checked) this.ticks[name] = control.store.get(name)
      else delete this.ticks[name]
    }
    this.keepDraft(true)
  }
  uploading(step) {
    this.nUploading += step
    if (this.nUploading === 0 && this.state.textContent === uploadingText()) this.state.textContent = ""
  }

  // Files are not kept: the server lets go of them with the page.
  typedTexts() {
    const parts = this.grids.map((grid) => [grid.about.table, grid.drafts().map(withoutFiles)])
    return {texts: withoutFiles(this.store.texts), parts: Object.fromEntries(parts)}
  }
  keepDraft(isTyped) {
    this.typedAt = Date.now()
    const files = this.everyControl.filter((c) => c.holdsFile).map((c) => c.about.label)
    const {texts, parts} = this.typedTexts()
    const draft = {texts, parts, files, ticks: this.ticks, token: this.token, at: this.typedAt, isTyped, isSent: this.isSaving}
    if (!this.drafts.keep(draft) && isTyped) this.state.textContent = say("This browser keeps no copy of what you type.")
  }

  // ---- numbers
  get keyWithoutCounter() {
    return Object.fromEntries(this.about.key.filter((name) => name !== this.about.counter).map((n) => [n, this.store.get(n)]))
  }
  async nextFree() {
    const fixed = this.keyWithoutCounter
    if (Object.values(fixed).some((text) => text === "")) {
      this.counter.setNote(say("Fill in the rest of the key first."))
      return ""
    }
    try {
      return (await this.request("next", {attribute: this.about.counter, fixed})).text
    } catch (error) {
      this.counter.setNote(error.message)
      return ""
    }
  }
  async suggestNext({onlyNote = false} = {}) {
    if (!this.counter || this.counter.hasText || Object.values(this.keyWithoutCounter).some((text) => text === "")) return
    const text = await this.nextFree()
    if (!text || this.counter.hasText) return
    if (onlyNote) this.counter.setNote(say("Next free: {text}", {text}))
    else {
      this.store.set({[this.about.counter]: text})
      // Whoever is in the field already, and about to type, replaces the suggestion instead of adding to it.
      if (this.counter.hasFocus) this.counter.input.select()
    }
  }

  // ---- saving
  async save() {
    if (this.isSaving || this.about.blocker) return
    if (this.nUploading > 0) { this.state.textContent = uploadingText(); return }
    this.isSaving = true
    this.button.setAttribute("aria-disabled", "true")
    this.button.textContent = say("Saving…")
    this.state.textContent = ""
    const isResent = waiting.has(this.drafts.key) || this.drafts.draft?.isSent === true
    await Promise.all(this.everyControl.map((control) => control.settled))  // so that what is saved is what one sees
    const parts = Object.fromEntries(this.grids.map((grid) => [grid.about.table, grid.drafts()]))
    const message = {draft: {...this.store.texts}, parts, token: this.token, is_resent: isResent, ticked: {...this.ticks}}
    this.keepDraft(true)
    const sentAs = this.drafts.key
    waiting.add(sentAs)
    let answer = null
    let problem = ""
    // No answer does not mean not saved: the same token is sent until the server says what became of it.
    for (let tries = 1; answer === null && !problem; tries++) {
      try {
        answer = await this.request("save", tries === 1 ? message : {...message, is_resent: true}, RESEND_MS)
      } catch (error) {
        if (!error.isLost) problem = error.message
        else if (this.isGone) return
        else this.state.textContent = say("Not saved yet: waiting for the server. What you typed is kept on this device.")
      }
    }
    this.isSaving = false
    waiting.delete(sentAs)
    this.state.textContent = ""
    this.button.removeAttribute("aria-disabled")
    this.button.textContent = say("Save")
    if (answer?.receipt) this.finish(answer)
    else this.refuse(answer ?? {errors: {}, part_errors: [], summary: problem})
  }
  refuse({errors, part_errors: partErrors, summary, duplicate, doubts = {}}) {
    this.keepDraft(true)
    this.banner.hidden = true
    const wrong = []
    for (const control of this.controls) {
      const text = control.names.map((name) => errors[name]).find(Boolean) ?? ""
      control.setError(text)
      control.checkedText = control.names.map((name) => control.store.get(name)).join("\n")
      if (text) wrong.push({control, where: control.about.label})
    }
    for (const grid of this.grids) {
      wrong.push(...grid.setErrors(partErrors.filter((error) => error.part === grid.about.table)))
    }
    this.showDoubts(this.controls, doubts)
    const unusual = this.controls.find((control) => control.tick && !control.tick.checked)
    if (duplicate && wrong.length === 0) this.showDuplicate(duplicate, true)
    else this.showSummary(wrong, summary)
    const first = wrong[0]?.control
    if (first) first.focus()
    else if (unusual && Object.keys(doubts).length) unusual.tick.focus()
    else this.summary.focus()
  }

  // ---- afterwards
  finish({receipt, recent}) {
    const before = this.typedTexts()
    this.drafts.remove()
    this.token = newUuid()
    this.ticks = {}
    if (this.onSaved) { this.onSaved(receipt); return }
    this.banner.hidden = this.undoing.hidden = true
    this.showSummary([])
    const isPinned = (control) => this.pins.has(control.about.id ?? control.about.name) && !control.holdsFile
    const kept = new Set(this.controls.filter(isPinned).flatMap((control) => [...control.names, control.about.id]))
    const cleared = Object.keys(this.store.texts).filter((name) => !kept.has(name))
    for (const control of this.controls) { control.setError(""); control.setDoubt(""); control.checkedText = ""; control.isTouched = false }
    this.store.set(Object.fromEntries(cleared.map((name) => [name, ""])))
    for (const grid of this.grids) grid.clear()
    this.suggestNext()
    this.showReceipt(receipt, before)
    this.showSaved(recent)
    const open = this.controls.filter((control) => control.about.kind !== "none" && !isPinned(control))
    const first = open.find((control) => control !== this.counter) ?? open[0] ?? this.controls[0]
    first?.focus()
    const [next] = this.drafts.free()
    if (next) {                        // what another window left behind is next
      this.restore(next)
      this.focusFirst()
    }
  }
  async undo(id, before, button) {
    button.disabled = true
    try {
      const {message, recent} = await this.request("undo", {receipt: id})
      this.receipt.replaceChildren(icon("done"), make("span", {}, message))
      this.receipt.classList.add("undone")
      this.receipt.hidden = false
      this.showSaved(recent)
      if (before) {                    // so that what was wrong with it can be put right
        this.put(before)
        this.keepDraft(true)
        this.focusFirst()
      }
    } catch (error) {
      button.disabled = false
      this.showSummary([], error.message)
      this.summary.focus()
    }
  }
  close() {
    this.isGone = true
    this.scan?.close()
    clearInterval(this.look)
    this.drafts.close()
    this.model.off("msg:custom", this.listener)
  }
}

let current = null
let formOfRows = EntryForm             // edit.js and edit_rows.js, which follow where rows are changed, put theirs here

export function render({model}) {
  current?.close()
  current = new formOfRows(model)
  return current.root
}
