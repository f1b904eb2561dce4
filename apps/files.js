// Fields whose value comes from a file: sent in pieces while the visitor goes on, asked for again after a break.
//
// What stands in the store is the server's name for the file. Small arrays may be pasted as text instead. A folder is
// sent like a file: one file after the other, after a list of them.

const PIECE_BYTES = 512 * 1024
const N_TRIES = 3                      // a piece is sent again after a break of the connection; none counts twice
const UNPACK_MS = 600000
const MAX_FILES = 10000                // the server says the same, to a list that is not longer than this

const isUpload = (text) => text.startsWith("upload:")
const withoutFiles = (texts) => Object.fromEntries(Object.entries(texts).filter(([, text]) => !isUpload(text)))

const asFile = (file) => ({name: file.name, blob: file})
// A folder as the browser lists it: every path begins with the name of the folder itself.
function asFolder(files) {
  const listed = [...files].map((file) => [file.webkitRelativePath.split("/").slice(1).join("/"), file.size])
  return {name: files[0].webkitRelativePath.split("/")[0], blob: new Blob([...files]), files: listed}
}

// Sends the files of one field, which gives its bar and its notes.
class Transfer {
  constructor(field) {
    this.field = field
    this.bar = make("progress", {max: "1", value: "0", hidden: true, "aria-label": say("Sending {label}", {label: field.about.label})})
    this.again = make("button", {type: "button", class: "fill", hidden: true}, say("Try again"))
    this.again.onclick = () => { field.input.focus(); field.send(this.failed) }
  }
  // Returns what the server says of the file; null if it could not be sent, or if another choice came in between.
  async send(source) {
    const {field, field: {host}} = this
    const isSentOn = source === this.failed && this.reference
    if (!isSentOn) { this.forget(); field.unset() }
    const sending = this.sending = {}  // another choice, or Remove, makes this one stop
    field.isTouched = true
    field.setError("")
    this.again.hidden = true
    this.bar.hidden = false
    this.bar.value = 0
    host.uploading?.(1)
    try {
      if (source.files?.length > MAX_FILES) {
        throw new Error(say("{name} holds more than {n} files; insert it from Python instead.", {name: source.name, n: MAX_FILES}))
      }
      const {name, blob, files} = source
      if (!isSentOn) {
        const {reference} = await host.request("upload", {name, size: blob.size, ...(files ? {files} : {})})
        if (this.sending !== sending) { this.drop(reference); return null }
        this.reference = reference
        this.sent = 0
      }
      const {reference} = this
      while (this.sent < blob.size) {
        const piece = new Uint8Array(await blob.slice(this.sent, this.sent + PIECE_BYTES).arrayBuffer())
        const {n_received: received} = await this.patiently("piece", {reference, offset: this.sent, content: base64(piece)})
        if (this.sending !== sending) return null
        this.sent = received
        this.bar.value = received / blob.size
        field.setNote(say("Sending… {percent} %", {percent: Math.round((100 * received) / blob.size)}))
      }
      const answer = await this.patiently("uploaded", {reference, attribute: field.about.name})
      if (this.sending !== sending) return null
      this.failed = null
      return {...answer, reference}
    } catch (error) {
      if (this.sending !== sending) return null
      const isCut = error.isLost
      this.failed = isCut ? source : null
      if (!isCut) this.forget()
      field.setNote(field.standingNote())
      field.setError(isCut ? say("{name} was not sent: the connection broke off. What arrived is kept; try again.", {name: source.name}) : error.message)
      this.again.hidden = !isCut
      return null
    } finally {
      this.bar.hidden = true
      host.uploading?.(-1)
    }
  }
  async patiently(kind, data) {
    for (let tries = 1; ; tries++) {
      try { return await this.field.host.request(kind, data) } catch (error) {
        if (tries === N_TRIES || !error.isLost) throw error
        this.field.setNote(say("The connection is broken; trying again…"))
      }
    }
  }
  // Stop sending, and have the server remove what it holds.
  forget() {
    this.sending = null
    this.failed = null
    this.again.hidden = true
    if (this.reference) this.drop(this.reference)
    this.reference = null
  }
  drop(reference) {
    this.field.host.request("drop", {reference}).catch(() => null)  // else it goes with the page, or with time
  }
}

class FileField extends Control {
  constructor(about, store, host, options) {
    super(about, store, host, options)
    this.isWide = false
    this.isArray = about.accept.includes(".npy")
    this.transfer = new Transfer(this)
    this.chooser = make("input", {type: "file", accept: about.accept, hidden: true, tabindex: "-1"})
    this.chooser.onchange = () => {
      if (this.chooser.files[0]) this.send(asFile(this.chooser.files[0]))
      this.chooser.value = ""
    }
    this.input = make("button", {type: "button", id: this.id, class: "choose"}, say("Choose a file…"))
    this.input.onclick = () => this.chooser.click()
    this.drop = make("button", {type: "button", class: "fill", hidden: true}, say("Remove"))
    this.drop.onclick = () => { this.unset(); this.host.changed(this); this.input.focus() }
    this.box = make("div", {class: "box file"}, this.chooser, this.input, this.transfer.again, this.drop)
    if (this.isArray && !this.inGrid) this.box.insertBefore(this.pasteButton(), this.transfer.again)
    if (about.takes_folder) this.box.insertBefore(this.folderButton(), this.transfer.again)
    this.box.ondragover = (event) => { event.preventDefault(); this.box.classList.add("over") }
    this.box.ondragleave = () => this.box.classList.remove("over")
    this.box.ondrop = (event) => {
      event.preventDefault()
      this.box.classList.remove("over")
      const {files: [file], items: [item]} = event.dataTransfer
      if (item?.webkitGetAsEntry?.()?.isDirectory) this.setError(say("{name} is a folder, which cannot be dropped here.", {name: file.name}))
      else if (file) this.send(asFile(file))
    }
    this.frame(this.box)
    this.note.before(this.transfer.bar)
    if (about.takes_folder) this.note.after(this.packingChoice())
    this.setNote(this.standingNote())
    this.refresh({[about.name]: store.get(about.name)})
  }
  get holdsFile() { return this.hasText }
  standingNote() {
    const limit = this.host.maxBytes
    return limit ? say("{explanation}; at most {size}.", {explanation: this.about.explanation, size: sizeText(limit)}) : `${this.about.explanation}.`
  }
  folderButton() {
    const chooser = make("input", {type: "file", webkitdirectory: true, hidden: true, tabindex: "-1"})
    chooser.onchange = () => {
      if (chooser.files.length) this.send(asFolder(chooser.files))
      chooser.value = ""
    }
    const button = make("button", {type: "button", class: "fill", "aria-label": say("Choose a folder: {label}", {label: this.about.label})}, say("Choose a folder…"))
    button.onclick = () => chooser.click()
    return make("span", {class: "folder"}, chooser, button)
  }
  // A zip file is one file, or the folder that is in it.
  packingChoice() {
    const group = newId("packing")
    const choice = (isUnpacked, text) => {
      const radio = make("input", {type: "radio", name: group, checked: !isUnpacked})
      radio.onchange = () => this.unpack(isUnpacked)
      return make("label", {}, radio, text)
    }
    this.packing = make("div", {class: "packing", role: "radiogroup", "aria-label": say("How to keep {label}", {label: this.about.label}), hidden: true},
      choice(false, say("Keep as one file")), choice(true, say("Unpack")))
    return this.packing
  }
  async unpack(isUnpacked) {
    const {reference} = this.transfer
    const [keep, unpack] = this.packing.querySelectorAll("input")
    this.setError("")
    if (isUnpacked) this.setNote(say("Unpacking…"))
    keep.disabled = unpack.disabled = true
    this.host.uploading?.(1)
    try {
      const {summary} = await this.host.request("unpack", {reference, is_unpacked: isUnpacked}, UNPACK_MS)
      if (reference === this.transfer.reference) this.setNote(summary ? say("Unpacked: {summary}", {summary}) : this.sentNote)
    } catch (error) {
      if (reference !== this.transfer.reference) return
      keep.checked = true
      this.setNote(this.sentNote)
      this.setError(error.message)
    } finally {
      keep.disabled = unpack.disabled = false
      this.host.uploading?.(-1)
    }
    this.host.changed(this)
  }
  pasteButton() {
    const area = make("textarea", {class: "mono", rows: "4", "aria-label": say("Numbers of {label}", {label: this.about.label}),
      placeholder: say("One row a line; commas, tabs or blanks between numbers"), spellcheck: "false"})
    const use = make("button", {type: "button", class: "quiet"}, say("Use these numbers"))
    this.paste = make("div", {class: "paste", hidden: true}, area, use)
    const button = make("button", {type: "button", class: "fill", "aria-expanded": "false",
      "aria-label": say("Paste numbers: {label}", {label: this.about.label})}, say("Paste…"))
    const toggle = (isOpen) => { this.paste.hidden = !isOpen; button.setAttribute("aria-expanded", String(isOpen)) }
    button.onclick = () => {
      if (!this.paste.isConnected) this.root.lastElementChild.prepend(this.paste)
      toggle(this.paste.hidden)
      if (!this.paste.hidden) area.focus()
    }
    use.onclick = async () => {
      await this.send(asFile(new File([area.value], "pasted.txt", {type: "text/plain"})))
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
    this.input.textContent = isSet ? this.fileName ?? say("A file") : say("Choose a file…")
    if (!isSet) {
      this.transfer.forget()
      if (this.packing) this.packing.hidden = true
      this.fileName = undefined
      this.setNote(this.standingNote())
    }
    this.showChip()
  }
  remove() { this.transfer.forget(); super.remove() }
  clear() { this.transfer.forget(); this.unset(); super.clear() }
  unset() {
    this.store.set({[this.about.name]: ""})
    this.setNote(this.standingNote())
  }
  async send(source) {
    this.drop.hidden = true
    const found = await this.transfer.send(source)
    if (!found) return
    this.fileName = source.name
    this.store.set({[this.about.name]: found.reference})
    this.sentNote = [sizeText(source.blob.size), found.summary].filter(Boolean).join(" · ")
    this.setNote(this.sentNote)
    if (this.packing) {
      this.packing.hidden = source.files !== undefined || !/\.zip$/i.test(source.name)
      this.packing.querySelector("input").checked = true
    }
    this.host.changed(this)
  }
}

// A path in a store: of a file that lies there, or of where a file that is sent will lie.
class PathField extends Field {
  build() {
    super.build()
    this.transfer = new Transfer(this)
    this.chooser = make("input", {type: "file", hidden: true, tabindex: "-1"})
    this.chooser.onchange = () => {
      if (this.chooser.files[0]) this.send(asFile(this.chooser.files[0]))
      this.chooser.value = ""
    }
    const choose = make("button", {type: "button", class: "fill", "aria-label": say("Upload a file: {label}", {label: this.about.label})}, say("Upload…"))
    choose.onclick = () => this.chooser.click()
    this.drop = make("button", {type: "button", class: "fill", hidden: true, "aria-label": say("Remove: {label}", {label: this.about.label})}, say("Remove"))
    this.drop.onclick = () => { this.unset(); this.host.changed(this); this.input.focus() }
    this.box.append(this.chooser, this.transfer.again, this.drop, choose)
    this.note.before(this.transfer.bar)
  }
  get reference() { return isUpload(this.store.get(this.about.name)) ? this.transfer?.reference ?? "" : "" }
  get holdsFile() { return isUpload(this.store.get(this.about.name)) }
  get text() {
    const text = this.store.get(this.about.name)
    return isUpload(text) ? text.slice(text.indexOf("/") + 1) : text
  }
  standingNote() {
    const limit = this.host.maxBytes
    return limit ? say("{explanation}, of at most {size}.", {explanation: this.about.explanation, size: sizeText(limit)}) : `${this.about.explanation}.`
  }
  typed() {
    const path = this.input.value
    const text = this.reference ? `${this.reference}/${path}` : path
    this.isTouched = true
    this.store.set({[this.about.name]: text}, this)
    this.showChip()
    this.host.changed(this)
  }
  refresh(changes) {
    if (!(this.about.name in changes)) return
    super.refresh(changes)
    if (!this.transfer) return
    this.drop.hidden = !this.holdsFile
    if (!this.holdsFile) {
      this.transfer.forget()
      if (!this.inGrid) this.setNote(this.standingNote())
    }
  }
  remove() { this.transfer.forget(); super.remove() }
  clear() { this.transfer.forget(); this.unset(); super.clear() }
  unset() {
    this.store.set({[this.about.name]: ""})
    this.setNote(this.standingNote())
  }
  async send(source) {
    const found = await this.transfer.send(source)
    if (!found) return
    this.store.set({[this.about.name]: `${found.reference}/${found.path}`})
    this.setNote(say("{name}, {size}, is stored under this path when the row is saved. Change the path as you like.", {name: source.name, size: sizeText(source.blob.size)}))
    this.host.changed(this)
    this.left()
    this.input.focus()
  }
}

function base64(bytes) {
  let text = ""
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(text)
}
function sizeText(bytes) {
  if (bytes < 1000) return sayMany("{n} byte", "{n} bytes", bytes)
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${Number((bytes / 1e6).toFixed(1))} MB`
}
