// A foreign key as one field: type to search the parent table on the server, choose a row with arrows and Enter.
//
// What was typed and is no row yet stands in the store under the picker's id, so that it is part of the draft; a
// chosen row stands there as the attributes of its key. Follows the pattern of a combobox with a list (WAI-ARIA).

const SEARCH_PAUSE_MS = 100

class Picker extends Control {
  constructor(about, store, host, options) {
    super(about, store, host, options)
    this.isWide = false
    this.isCode = false                // whether a scanner may have left the field
    this.choices = []
    this.active = -1
    this.number = 0
    this.isOpen = false
    this.list = make("ul", {role: "listbox", id: `${this.id}-list`, "aria-label": about.label})
    this.status = make("p", {class: "none", role: "status", hidden: true})
    this.create = about.can_create && (host.form ?? host).about?.custom
      ? make("button", {type: "button", class: "create-new", tabindex: "-1", "aria-keyshortcuts": "Alt+Enter"}, icon("add"),
        say("Create new {label}…", {label: about.label}), make("kbd", {}, "Alt Enter")) : ""
    if (this.create) this.create.onmousedown = (event) => { event.preventDefault(); this.openCreate() }
    this.popup = make("div", {class: "choices", popover: "manual"}, this.list, this.status, this.create)
    this.input = make("input", {
      id: this.id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", autocapitalize: "off",
      "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id,
      "aria-required": String(about.is_required), placeholder: this.placeholder(),
    })
    this.input.oninput = () => this.typed()
    this.input.onkeydown = (event) => this.pressed(event)
    // Whoever comes to a choice replaces it by typing, and does not add to it.
    this.input.onmousedown = () => { this.isEntering = !this.hasFocus }
    this.input.onclick = () => {
      if (this.isEntering && this.isChosen && this.input.selectionStart === this.input.selectionEnd) this.input.select()
      if (!this.isOpen) this.open()
    }
    this.input.onfocus = () => { if (this.isChosen) this.input.select() }
    this.input.onblur = () => { this.close(); this.settle() }
    this.opener = make("button", {type: "button", class: "open", tabindex: "-1", "aria-label": say("Show rows of {label}", {label: about.label})},
      icon("down"))
    this.opener.onmousedown = (event) => {
      event.preventDefault()
      this.input.focus()
      if (this.isOpen) this.close()
      else this.open()
    }
    this.frame(make("div", {class: "box picker"}, this.input, this.opener, this.popup))
    this.show()
  }
  placeholder() {
    return this.about.is_required ? say("Type to search") : say("Search, or leave empty")
  }
  get hasText() { return super.hasText || this.store.get(this.about.id) !== "" }
  get isFilled() { return this.isChosen || this.store.get(this.about.id) !== "" }
  get isChosen() { return this.names.every((name) => this.store.get(name) !== "") && this.store.get(this.about.id) === "" }
  get key() { return Object.fromEntries(this.names.map((name) => [name, this.store.get(name)])) }
  // Whether the list was made of what stands in the field now, or the visitor went to a row of it.
  get isCurrent() { return this.wasMoved || this.listed === this.store.get(this.about.id) }
  get label() {
    if (this.isChosen) return this.names.map((name) => this.store.get(name)).join(" · ")
    return this.store.get(this.about.id)
  }
  // What other fields say of this key; the part that is ours alone is what is being looked for.
  get fixed() {
    const foreign = this.names.filter((name) => !this.about.own.includes(name))
    const known = this.isChosen ? foreign : this.names
    return Object.fromEntries(known.map((name) => [name, this.store.get(name)]).filter(([, text]) => text !== ""))
  }
  refresh(changes) {
    if (![...this.names, this.about.id].some((name) => name in changes)) return
    this.former = null
    this.guessed = ""
    if (this.root) this.show()
  }
  forgetReading() {
    this.guessed = ""
    this.show()
  }
  show() {
    if (this.input.value !== this.label && !(this.isOpen && this.host.hasFocus(this.input))) this.input.value = this.label
    this.root.classList.toggle("chosen", this.isChosen)
    this.showChip()
    const fixed = Object.entries(this.fixed)
    if (!this.inGrid) {
      const partly = fixed.length > 0 && !this.isChosen
      const values = fixed.map(([name, text]) => `${name} ${text}`).join(", ")
      this.setNote(partly ? say("Only rows with {values}", {values}) : this.isChosen && this.guessed
        ? say("The only row that matches “{text}”.", {text: this.guessed}) : "")
    }
  }
  clear() {
    this.store.set({[this.about.id]: "", ...Object.fromEntries(this.about.own.map((name) => [name, ""]))})
    this.input.value = this.label
    this.isTouched = false
    this.guessed = ""
    this.former = null
    this.setError("")
  }

  // ---- typing
  textsOf(text) {
    // Of a key that is shared, only what is ours alone is taken back; if all is shared, all of it.
    const ours = this.about.own.length ? this.about.own : this.names
    return {...Object.fromEntries(ours.map((name) => [name, ""])), [this.about.id]: text}
  }
  typed() {
    const text = this.input.value
    this.isTouched = true
    this.wasMoved = false
    this.guessed = ""
    if (this.isChosen) this.former = {...this.key, [this.about.id]: ""}
    this.store.set(this.textsOf(text), this)
    this.root.classList.toggle("chosen", false)
    this.show()
    this.setError("")
    this.host.changed(this)
    this.open()
  }
  async open() {
    const number = ++this.number
    if (!this.isOpen) {
      this.isOpen = true
      this.input.setAttribute("aria-expanded", "true")
      this.popup.showPopover()
      this.place()
    }
    this.announce(this.choices.length ? "" : say("Searching…"))
    const text = this.store.get(this.about.id)
    clearTimeout(this.timer)
    await new Promise((done) => { this.timer = setTimeout(done, text ? SEARCH_PAUSE_MS : 0) })
    if (number !== this.number || !this.isOpen) return
    const isCurrent = () => number === this.number && this.isOpen
    const asked = {link: this.about.id, text, fixed: this.fixed}
    try {
      // What the key's index knows comes at once; what other attributes hold is looked for after it.
      const {choices: begun} = text ? await this.host.request("search", {...asked, begun: true}) : {choices: []}
      if (isCurrent() && begun.length) this.showChoices(begun, text)
      if (!isCurrent() || begun.length === 20) return
      if (begun.length) this.announce(say("Searching further…"))
      const answer = await this.host.request("search", asked)
      if (isCurrent()) this.showChoices(answer.choices, text, answer.is_cut)
    } catch (error) {
      if (number === this.number) { this.showChoices([], text); this.announce(error.message) }
    }
  }
  showChoices(choices, text, isCut = false) {
    this.listed = text
    const chosen = this.wasMoved && this.active >= 0 ? this.choices[this.active].label : null
    this.choices = choices
    this.list.replaceChildren(...choices.map((choice, i) => {
      const item = make("li", {role: "option", id: `${this.list.id}-${i}`, "aria-selected": "false"},
        make("span", {class: "key"}, choice.label), choice.detail ? make("span", {class: "detail"}, choice.detail) : "",
        choice.is_recent ? make("span", {class: "recent"}, say("recent")) : "")
      item.onmousedown = (event) => { event.preventDefault(); this.choose(choice) }
      return item
    }))
    const again = chosen === null ? -1 : choices.findIndex((choice) => choice.label === chosen)
    this.activate(again >= 0 ? again : text && choices.length ? 0 : -1)
    this.wasMoved = again >= 0
    this.announce(isCut ? say("There are too many rows to look through; begin with the key, or type more.")
      : choices.length === 0 ? say("No such row.") : choices.length === 20 ? say("The first 20; type more to find others.") : "")
    this.place()
  }
  announce(text) {
    this.status.textContent = text
    this.status.hidden = text === ""
  }
  activate(index) {
    this.active = index
    const items = [...this.list.children]
    items.forEach((item, i) => item.setAttribute("aria-selected", String(i === index)))
    if (index >= 0) {
      this.input.setAttribute("aria-activedescendant", items[index].id)
      items[index].scrollIntoView({block: "nearest"})
    } else this.input.removeAttribute("aria-activedescendant")
  }
  place() {
    const box = this.input.parentElement.getBoundingClientRect()
    const below = innerHeight - box.bottom
    const height = Math.min(320, Math.max(below, box.top) - 12)
    const width = Math.min(Math.max(box.width, 380), innerWidth - 16)
    Object.assign(this.popup.style, {
      left: `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`, width: `${width}px`, maxHeight: `${height}px`,
      top: below >= Math.min(320, box.top) ? `${box.bottom + 3}px` : "auto",
      bottom: below >= Math.min(320, box.top) ? "auto" : `${innerHeight - box.top + 3}px`,
    })
  }
  pressed(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return
    const n = this.choices.length
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault()
      if (!this.isOpen) { this.open(); return }
      this.wasMoved = true
      const step = event.key === "ArrowDown" ? 1 : -1
      if (n) this.activate(this.active < 0 ? (step > 0 ? 0 : n - 1) : (this.active + step + n) % n)
    } else if (event.key === "Enter" && event.altKey && this.create) {
      event.preventDefault()
      event.stopPropagation()
      this.openCreate()
    } else if (event.key === "Enter") {
      event.preventDefault()           // in a picker Enter chooses, and never saves
      event.stopPropagation()
      // What comes after the Enter belongs to the next field: a scanner does not wait for any answer.
      const goesOn = this.inGrid || this.host.isScanning
      if (this.isOpen && this.active >= 0 && this.isCurrent) this.choose(this.choices[this.active])
      else if (this.isOpen && !this.store.get(this.about.id)) this.close()
      else if (goesOn) this.isCode = this.host.isScanning === true
      else this.settle()
      if (this.inGrid) this.host.entered(this)
      else if (goesOn) this.host.advance(this)
    } else if (event.key === "Escape" && (this.isOpen || this.former)) {
      event.preventDefault()
      event.stopPropagation()
      this.close()
      if (this.former) this.choose({key: this.former})
    } else if (event.key === "Tab" && this.isOpen && this.wasMoved && this.active >= 0) {
      this.choose(this.choices[this.active])
    }
  }
  openCreate() {
    this.close()
    this.isCreating = true             // the field is left for the panel: what was typed is not looked up now
    openCreate(this.host, this)
  }
  choose(choice, typed = "") {
    this.isTouched = true
    this.guessed = typed
    this.former = null                 // what was chosen before, while something else is typed
    this.close()
    this.store.set({...choice.key, [this.about.id]: ""}, this)
    this.input.value = this.label
    this.setError("")
    this.show()
    this.host.changed(this)
    this.host.left(this)
  }
  close() {
    if (!this.isOpen) return
    this.isOpen = false
    this.number += 1
    this.wasMoved = false
    this.choices = []
    this.list.replaceChildren()
    this.activate(-1)
    this.popup.hidePopover()
    this.input.setAttribute("aria-expanded", "false")
  }
  // A code that was read: the row of that key, else the only row that holds just this text; else the choices stay.
  async scanned(code) {
    this.input.focus()
    this.input.value = code
    this.typed()
    if (await this.resolve(this.input.value, true) && this.hasFocus) this.host.advance(this)
  }
  // What was typed and not chosen: the row that it means, if there is one.
  settle() {
    const text = this.store.get(this.about.id)
    const {isCode} = this
    this.isCode = false
    if (this.isCreating) { this.isCreating = false; return null }
    if (text.trim() === "") {
      if (text !== "") this.store.set({[this.about.id]: ""})
      this.show()
      this.host.left(this)
      return null
    }
    if (this.resolving !== text) this.settled = this.resolve(text, isCode)
    return this.settled
  }
  async resolve(text, isCode) {
    this.resolving = text
    try {
      const asked = {link: this.about.id, text, fixed: this.fixed, is_code: isCode}
      const {choice, is_guess: isGuess, message} = await this.host.request("resolve", asked)
      if (this.store.get(this.about.id) !== text) return false
      if (choice) this.choose(choice, isGuess ? text : "")
      else this.tell(message)
      return Boolean(choice)
    } catch (error) {
      if (this.store.get(this.about.id) === text) this.tell(error.message)
      return false
    } finally {
      this.resolving = null
    }
  }
}
