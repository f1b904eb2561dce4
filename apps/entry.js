// The form of one table: layout, checks, the draft that survives everything but a receipt, saving, and what was saved.
//
// Python is asked by messages that carry a number and are answered under it. A draft lies in the browser's own
// storage from the first letter on; it is removed when, and only when, the server has said that the row is saved.

const ANSWER_MS = 15000
const RESEND_MS = 4000
const RECHECK_MS = 350
const LOOK_MS = 5000
const DOUBLE_MS = 700
const waiting = new Set()              // keys of drafts that were sent and not answered, while this window lives
const enterText = () => say("Ctrl+Enter saves; Enter alone does not, for it goes to the next field.")
const uploadingText = () => say("A file is still on its way. Save when it has arrived.")
const overText = () => say("Not saved: this page must be loaded again. Copy what you have not saved.")
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
    this.pins = new Set(stored(this.pinKey) ?? this.about.items.filter((item) => item.type === "picker" && !item.is_unique).map((item) => item.id))
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
    model.on("remove", () => { this.drafts.close(); this.scan?.close(); this.letGo() })
    this.isKept = true                 // unless the browser said otherwise, all that is typed
    const ends = [window.djPanelShell?.keep(this), onSaved ? null : this.followSaved()]
    this.letGo = () => { for (const end of ends) end?.() }
    this.came = onSaved ? null : returned(this.draftKey)
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
        this.keepPinned()
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
      values: () => this.presetValues(), apply: (...preset) => this.applyPreset(...preset),
      lost: (...preset) => this.presetLost(...preset)})
    this.saved = make("section", {class: "saved", hidden: true})
    this.blocker = this.about.blocker
      ? make("p", {class: "summary"}, icon("error"), make("span", {}, this.about.blocker)) : ""
    if (this.about.blocker) this.button.disabled = true
    this.bar = make("div", {class: "bar", tabindex: "-1"}, this.receipt, this.button, make("kbd", {}, say("Ctrl Enter")), this.reset, scanner, this.state)
    this.root = make("div", {class: "form"}, this.blocker, this.banner, this.summary,
      this.presets, group(say("Key"), inKey), group(say("Values"), rest), ...this.grids.map((grid) => grid.root),
      this.bar, this.saved)
    this.root.addEventListener("keydown", (event) => this.pressed(event))
    // The bar must not cover the field that has the focus, which browsers scroll into sight as if there were no bar.
    this.root.addEventListener("focusin", ({target}) => this.keepInSight(target))
    // What the number may be is said of one key, and of no other.
    this.store.watchers.add((changes) => { if (this.counter && this.about.key.some((name) => name in changes)) this.keyChanged(changes) })
    this.showSaved(this.model.recent)
  }
  hasFocus(element) { return element.getRootNode().activeElement === element }
  keepInSight(target) {
    if (!target || this.bar.contains(target) || !this.root.contains(target) || target.closest("dialog, .saved")) return
    if (target.getBoundingClientRect().bottom <= this.bar.getBoundingClientRect().top) return
    target.style.scrollMarginBottom = `${this.bar.offsetHeight}px`
    target.scrollIntoView({block: "nearest"})
  }
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
      const asked = {resolve, reject}
      asked.wait = () => {
        clearTimeout(asked.timer)
        asked.timer = setTimeout(() => {
          this.requests.delete(number)
          reject(Object.assign(new Error(say("The server does not answer. What you typed is kept here; try again.")), {isLost: true}))
        }, timeout)
      }
      asked.wait()
      this.requests.set(number, asked)
      this.model.send_msg({type: kind, number, table: this.table, ...data})
    })
  }
  answered({number, error, busy, ...answer}) {
    const asked = this.requests.get(number)
    if (!asked) return
    if (busy) {                        // the server is there, and at work on it
      if (this.isSaving) this.state.textContent = busy
      asked.wait()
      return
    }
    this.requests.delete(number)
    clearTimeout(asked.timer)
    if (error) asked.reject(new Error(error))
    else asked.resolve(answer)
  }

  // ---- beginning: a draft of before, or what the address says
  begin() {
    const found = this.foundDraft
    if (found) this.restore(found)
    else {
      this.put({texts: {...this.model.prefill, ...pinned(this.draftKey)}, parts: this.about.parts})
      if (!this.onSaved) this.look = setInterval(() => this.lookForDrafts(), LOOK_MS)
    }
    if (this.store.isEmpty === false) this.suggestNext()
    if (this.onSaved) requestAnimationFrame(() => this.focusFirst())
    else this.focusWhenShown()
  }
  // What this window held when its page was loaded again, else what a window that is gone left, the oldest first.
  get foundDraft() {
    const free = this.drafts.free()
    return free.find(({key}) => key === this.came?.key) ?? free[0]
  }
  restore(found) {
    const {key, draft} = found
    this.drafts.take(found)
    this.token = draft.token ?? this.token
    this.ticks = draft.ticks ?? {}
    this.put(draft)
    this.typedAt = draft.at
    // The same window came back: the answer got lost, and the token finds it. Files went with the server.
    const isOurs = waiting.has(key) || (key === this.came?.key && draft.isSent && !draft.files?.length)
    if (isOurs) this.save()
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
    this.savedAt = null
    this.store.set(Object.fromEntries(Object.entries(texts).filter(([, text]) => typeof text === "string")))
    for (const grid of this.grids) {
      grid.clear()
      grid.load(parts[grid.about.table] ?? [])
    }
  }
  // While a window is being set up its parts are moved, and a moved field loses the focus again: so the focus
  // is given until it has stayed for half a second, or the visitor has put it elsewhere.
  focusWhenShown(tries = 0, stayed = 0) {
    if (tries > 600 || stayed > 30) return
    const active = document.activeElement
    const isFree = active === null || active === document.body || active.id === "heading"
    if (document.body.classList.contains("waiting")) stayed = 0
    else if (!isFree && active.shadowRoot === null) return
    else if (this.root.contains(this.root.getRootNode().activeElement)) stayed += 1
    else if (isFree || stayed === 0) this.focusAgain()
    else return
    requestAnimationFrame(() => this.focusWhenShown(tries + 1, stayed))
  }
  leave() {
    if (this.onSaved) return
    const place = this.everyControl.findIndex((control) => control.hasFocus)
    const {selectionStart: start, selectionEnd: end} = this.everyControl[place]?.input ?? {}
    this.drafts.beat(0)
    returned(this.draftKey, {key: this.drafts.key, place, start, end})
  }
  focusAgain() {
    const {place, start, end} = this.came ?? {}
    const control = this.everyControl[place]
    if (!control) { this.focusFirst(); return }
    control.focus()
    if (Number.isInteger(start)) control.input.setSelectionRange(start, end)
  }
  focusFirst() {
    const open = this.controls.filter((control) => control.about.kind !== "none")
    const first = open.find((control) => !control.isFilled) ?? open[0]
    first?.focus()
  }

  // ---- typing
  changed(control) {
    this.savedAt = null
    if (this.state.textContent !== enterText()) this.state.textContent = ""   // which a picker that resolves late leaves
    this.keepDraft(true)
    this.hideReceipt()
    if (control && control.errorText && control instanceof Field) {
      clearTimeout(this.recheck)
      this.recheck = setTimeout(() => this.check(control, {force: true}), RECHECK_MS)
    }
    if (this.duplicate && control?.store === this.store && control.about.in_key) this.showSummary([])
  }
  announce(text) { this.heard.textContent = text }
  partChanged() { this.savedAt = null; this.keepDraft(true); this.hideReceipt(); this.tellWrong() }
  left(control) {
    if (control.isTouched && control.hasText) this.check(control, {})
    else if (!control.hasText && !(control.errorText && this.missing(control))) control.setError(this.missing(control))
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
    const wasRefused = this.wrong.length > 0
    control.tell(control.names.map((name) => answer.errors[name]).find(Boolean) ?? this.missing(control))
    if (wasRefused && this.summary.hidden) this.state.textContent = say("All of it is put right. Nothing is saved yet.")
    const reading = answer.readings?.[control.about.name]
    if (reading && !answer.errors[control.about.name]) {
      control.showReading(reading)
      this.keepDraft(true)
    }
    this.showDoubts([control], answer.doubts ?? {})
    if (control.store !== this.store) return
    if (answer.duplicate) this.showDuplicate(answer.duplicate)
    else if (this.duplicate && control.about.in_key) this.showSummary([])
    if (control.about.in_key && this.counter && !this.counter.hasText) this.suggestNext({onlyNote: true})
  }
  uploading(step) {
    this.nUploading += step
    if (this.nUploading === 0 && this.state.textContent === uploadingText()) this.state.textContent = ""
  }

  // ---- what stays for the next row: kept while this window lives, so that it is here again after Back or a reload
  isPinned(control) { return this.pins.has(control.about.id ?? control.about.name) && !control.holdsFile }
  get pinnedTexts() {
    const names = new Set(this.controls.filter((one) => this.isPinned(one)).flatMap((one) => [...one.names, one.about.id]))
    return Object.fromEntries(Object.entries(this.store.texts).filter(([name]) => names.has(name)))
  }
  keepPinned() { pinned(this.draftKey, this.pinnedTexts) }

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
    this.isKept = this.drafts.keep(draft)
    if (!this.isKept && isTyped) this.state.textContent = say("This browser keeps no copy of what you type.")
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
  keyChanged(changes) {
    this.counter.setNote(this.counter.standingNote())
    // A number that was suggested for another key, and that nobody touched, is suggested anew.
    const name = this.about.counter
    if (name in changes || !this.suggested || !["", this.suggested].includes(this.store.get(name))) return
    this.store.set({[name]: ""})
    this.suggestNext()
  }
  suggestNext(how = {}) {
    this.suggesting = this.suggest(how)
    return this.suggesting
  }
  async suggest({onlyNote = false}) {
    if (!this.counter || this.counter.hasText || Object.values(this.keyWithoutCounter).some((text) => text === "")) return
    const key = JSON.stringify(this.keyWithoutCounter)
    const text = await this.nextFree()
    if (!text || this.counter.hasText || key !== JSON.stringify(this.keyWithoutCounter)) return
    if (onlyNote) this.counter.setNote(say("Next free: {text}", {text}))
    else {
      this.suggested = text
      this.store.set({[this.about.counter]: text})
      // Whoever is in the field already, and about to type, replaces the suggestion instead of adding to it.
      if (this.counter.hasFocus) this.counter.input.select()
    }
  }

  // ---- saving
  // Whether a row was saved and nothing was typed since: whoever presses twice means one row.
  get isJustSaved() {
    if (!this.savedAt) return false
    const isOpen = this.controls.some((control) => control.isRequired && !control.isFilled)
    if (isOpen) this.state.textContent = say("Nothing is typed yet, so there is nothing more to save.")
    return isOpen || Date.now() - this.savedAt < DOUBLE_MS
  }
  get parts() { return Object.fromEntries(this.grids.map((grid) => [grid.about.table, grid.drafts()])) }
  get content() { return {draft: {...this.store.texts}, parts: this.parts, ticked: {...this.ticks}} }
  // Whether what is typed is no longer what was sent. Nobody has to wait for an answer before going on.
  isChangedSince(sent) { return JSON.stringify({...sent, ...this.content}) !== JSON.stringify(sent) }
  async save() {
    if (this.isSaving) { this.isPressedAgain = true; return }
    if (this.about.blocker || this.isJustSaved) return
    if (this.nUploading > 0) { this.state.textContent = uploadingText(); return }
    this.isSaving = true
    this.isPressedAgain = false
    this.button.setAttribute("aria-disabled", "true")
    this.button.textContent = say("Saving…")
    this.state.textContent = ""
    const isResent = waiting.has(this.drafts.key) || this.drafts.draft?.isSent === true
    this.keepDraft(true)               // from here on it is being saved, also if the page is loaded again
    await Promise.all(this.everyControl.map((control) => control.settled))  // so that what is saved is what one sees
    // Neither is a row refused for a number that is about to be suggested; but a server that is gone is not waited for.
    await Promise.race([this.suggesting, new Promise((go) => setTimeout(go, RESEND_MS))])
    const message = {...this.content, token: this.token, is_resent: isResent}
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
        else if (window.djPanelShell?.isOver) problem = overText()
        else this.state.textContent = say("Not saved yet: waiting for the server. What you typed is kept on this device.")
      }
    }
    this.isSaving = false
    waiting.delete(sentAs)
    this.state.textContent = ""
    this.button.removeAttribute("aria-disabled")
    this.button.textContent = say("Save")
    if (answer?.receipt) this.finish(answer, message)
    else if (this.isPressedAgain && this.isChangedSince(message)) this.save()
    else this.refuse(answer ?? {errors: {}, part_errors: [], summary: problem}, message)
  }

  // ---- afterwards
  finish({receipt, recent}, sent) {
    const before = this.typedTexts()
    const since = this.typedSince(sent)
    this.drafts.remove()
    this.token = newUuid()
    this.ticks = {}
    if (this.onSaved) { this.onSaved(receipt); return }
    this.banner.hidden = this.undoing.hidden = true
    this.showSummary([])
    const kept = this.pinnedTexts
    const cleared = Object.keys(this.store.texts).filter((name) => !(name in kept) && !(name in since.texts))
    const toNow = this.controls.filter((control) => control.isNow && !this.isPinned(control))
    for (const control of this.controls) {
      control.setError("")
      control.setDoubt("")
      control.forgetReading?.()
      control.checkedText = ""
      control.isTouched = false
    }
    this.store.set(Object.fromEntries(cleared.map((name) => [name, ""])))
    for (const grid of this.grids) {
      grid.clear()
      grid.load(since.parts[grid.about.table])
    }
    for (const control of toNow) control.resetToNow()
    this.keepPinned()
    this.suggestNext()
    this.savedAt = Date.now()
    this.showReceipt(receipt, before)
    this.showSaved(recent)
    const open = this.controls.filter((control) => control.about.kind !== "none" && !this.isPinned(control))
    const isNext = (control) => control !== this.counter && !toNow.includes(control)
    const first = open.find(isNext) ?? open.find((control) => control !== this.counter) ?? open[0] ?? this.controls[0]
    first?.focus()
    if (toNow.includes(first)) first.input.select()   // typing replaces what is filled in
    if (since.labels.length) {
      this.state.textContent = say("Typed after the row was sent, so not saved with it: {labels}.", {labels: since.labels.join(", ")})
      this.keepDraft(true)
      return
    }
    const [next] = this.drafts.free()
    if (next) {                        // what another window left behind is next
      this.restore(next)
      this.focusFirst()
    }
  }
  close() {
    this.isGone = true
    this.letGo()
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
