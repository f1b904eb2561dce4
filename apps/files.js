// A field whose value comes from a file: sent in pieces while the visitor goes on, asked for again after a break.
//
// What stands in the store is the server's name for the file. Small arrays may be pasted as text instead.

const PIECE_BYTES = 512 * 1024
const N_TRIES = 3                      // a piece is sent again after a break of the connection; none counts twice

class FileField extends Control {
  constructor(about, store, host, options) {
    super(about, store, host, options)
    this.isWide = false
    this.isArray = about.accept.includes(".npy")
    this.chooser = make("input", {type: "file", accept: about.accept, hidden: true, tabindex: "-1"})
    this.chooser.onchange = () => { if (this.chooser.files[0]) this.send(this.chooser.files[0]) }
    this.input = make("button", {type: "button", id: this.id, class: "choose"}, "Choose a file…")
    this.input.onclick = () => this.chooser.click()
    this.drop = make("button", {type: "button", class: "fill", hidden: true}, "Remove")
    this.drop.onclick = () => { this.sending = null; this.store.set({[about.name]: ""}); this.host.changed(this); this.input.focus() }
    this.again = make("button", {type: "button", class: "fill", hidden: true}, "Try again")
    this.again.onclick = () => { this.input.focus(); this.send(this.failed) }
    this.bar = make("progress", {max: "1", value: "0", hidden: true, "aria-label": `Sending ${about.label}`})
    this.box = make("div", {class: "box file"}, this.chooser, this.input, this.again, this.drop)
    if (this.isArray && !this.inGrid) this.box.insertBefore(this.pasteButton(), this.again)
    this.box.ondragover = (event) => { event.preventDefault(); this.box.classList.add("over") }
    this.box.ondragleave = () => this.box.classList.remove("over")
    this.box.ondrop = (event) => {
      event.preventDefault()
      this.box.classList.remove("over")
      if (event.dataTransfer.files[0]) this.send(event.dataTransfer.files[0])
    }
    this.frame(this.box)
    this.note.before(this.bar)
    this.setNote(this.standingNote())
    this.refresh({[about.name]: store.get(about.name)})
  }
  standingNote() {
    const limit = this.host.maxBytes
    return `${this.about.explanation}${limit ? `; at most ${sizeText(limit)}` : ""}.`
  }
  pasteButton() {
    const area = make("textarea", {class: "mono", rows: "4", "aria-label": `Numbers of ${this.about.label}`,
      placeholder: "One row a line; commas, tabs or blanks between numbers", spellcheck: "false"})
    const use = make("button", {type: "button", class: "quiet"}, "Use these numbers")
    this.paste = make("div", {class: "paste", hidden: true}, area, use)
    const button = make("button", {type: "button", class: "fill", "aria-expanded": "false",
      "aria-label": `Paste numbers: ${this.about.label}`}, "Paste…")
    const toggle = (isOpen) => { this.paste.hidden = !isOpen; button.setAttribute("aria-expanded", String(isOpen)) }
    button.onclick = () => {
      if (!this.paste.isConnected) this.root.lastElementChild.prepend(this.paste)
      toggle(this.paste.hidden)
      if (!this.paste.hidden) area.focus()
    }
    use.onclick = async () => {
      await this.send(new File([area.value], "pasted.txt", {type: "text/plain"}))
      if (this.errorText) { area.focus(); return }
      area.value = ""
      toggle(false)
      this.input.focus()
    }
    return button
  }
  refresh(changes) {
    if (!(this.about.name in changes)) return
    const isSet = this.hasText
    this.drop.hidden = !isSet
    this.input.textContent = isSet ? this.fileName ?? "A file" : "Choose a file…"
    if (!isSet) { this.fileName = undefined; this.chooser.value = ""; this.setNote(this.standingNote()) }
    this.showChip()
  }
  async send(file) {
    const name = this.about.name
    const sending = this.sending = {}  // another choice, or Remove, makes this one stop
    this.isTouched = true
    this.setError("")
    this.drop.hidden = true
    this.again.hidden = true
    this.bar.hidden = false
    this.bar.value = 0
    this.host.uploading?.(1)
    try {
      const reference = file === this.failed && this.reference
        ? this.reference : (await this.host.request("upload", {name: file.name, size: file.size})).reference
      this.reference = reference
      let offset = file === this.failed ? this.sent ?? 0 : 0
      while (offset < file.size) {
        const piece = new Uint8Array(await file.slice(offset, offset + PIECE_BYTES).arrayBuffer())
        offset = (await this.patiently("piece", {reference, offset, content: base64(piece)})).n_received
        if (this.sending !== sending) return
        this.sent = offset
        this.bar.value = offset / file.size
        this.setNote(`Sending… ${Math.round((100 * offset) / file.size)} %`)
      }
      const {summary} = await this.patiently("uploaded", {reference, attribute: name})
      if (this.sending !== sending) return
      this.failed = null
      this.fileName = file.name
      this.store.set({[name]: reference})
      this.setNote([sizeText(file.size), summary].filter(Boolean).join(" · "))
      this.host.changed(this)
    } catch (error) {
      if (this.sending !== sending) return
      const isCut = /does not answer/.test(error.message)
      this.failed = isCut ? file : null
      this.store.set({[name]: ""})
      this.setNote(this.standingNote())
      this.setError(isCut ? `${file.name} was not sent: the connection broke off. What arrived is kept; try again.` : error.message)
      this.again.hidden = !isCut
    } finally {
      this.bar.hidden = true
      this.host.uploading?.(-1)
    }
  }
  async patiently(kind, data) {
    for (let tries = 1; ; tries++) {
      try { return await this.host.request(kind, data) } catch (error) {
        if (tries === N_TRIES || !/does not answer/.test(error.message)) throw error
        this.setNote("The connection is broken; trying again…")
      }
    }
  }
}

function base64(bytes) {
  let text = ""
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(text)
}
function sizeText(bytes) {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${Number((bytes / 1e6).toFixed(1))} MB`
}
