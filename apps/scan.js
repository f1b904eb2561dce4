// Codes read with the camera of a tablet or phone: a button in each field for text or whole numbers, and in pickers.
//
// Where a page may use the camera (HTTPS, or this computer) one sees what it sees, and a few times a second that is read:
// by the browser, where it can, else by the server, which is sent small grey pictures. Elsewhere the device takes a photo.
// What was read goes into the field as if it were typed and left. Nothing here ever saves.

const FRAME_MS = 330                   // at most three pictures a second, and never a second one on its way
const FRAME_PIXELS = 800               // of each side of a picture
const PHOTO_PIXELS = 1600              // of the longer side of a photo
const HINT_MS = 10000
const SCAN_MS = 60000                  // then the camera goes off: it may have been forgotten
const SCANNED_KINDS = ["text", "uuid", "integer"]
const SCANNED_CODES = ["qr_code", "data_matrix", "aztec", "pdf417", "code_128", "code_39", "code_93", "codabar", "itf", "ean_13", "ean_8",
  "upc_a", "upc_e"]
const SCAN_KEY = "dj-panel-scan"

// "live" where the page may use a camera, "photo" where only the device may, and nothing where there is none.
async function cameraUse() {
  if (!navigator.mediaDevices?.getUserMedia) return isTouched() ? "photo" : ""
  try {
    const devices = await navigator.mediaDevices.enumerateDevices()
    return devices.some(({kind}) => kind === "videoinput") ? "live" : ""
  } catch { return "" }
}
const isTouched = () => matchMedia("(any-pointer: coarse)").matches

// The browser's own reader, if it has one for what is printed on labels.
async function browserReader() {
  try {
    const known = await window.BarcodeDetector.getSupportedFormats()
    const formats = SCANNED_CODES.filter((code) => known.includes(code))
    return formats.includes("qr_code") ? new window.BarcodeDetector({formats}) : null
  } catch { return null }
}

// Tablets have the buttons from the beginning; a computer with a camera offers them.
async function offerScanning(form) {
  const use = await cameraUse()
  const controls = form.controls.filter(({about}) => about.type === "picker" || SCANNED_KINDS.includes(about.kind))
  if (!use || controls.length === 0 || form.isGone) return
  const tick = make("input", {type: "checkbox", id: newId("scan")})
  tick.checked = stored(SCAN_KEY) ?? isTouched()
  const buttons = controls.map((control) => {
    const title = say("Scan with the camera")
    const button = make("button", {type: "button", class: "fill scan", tabindex: "-1", "aria-keyshortcuts": "Alt+C",
      title: `${title} (Alt+C)`, "aria-label": `${title}: ${control.about.label}`}, icon("scan"))
    const open = (opener) => {
      form.scan?.close()
      form.scan = new Scan(form, control, use, opener)
    }
    button.onclick = () => open(button)
    control.root.addEventListener("keydown", (event) => {
      if (!event.altKey || event.code !== "KeyC" || !tick.checked) return
      event.preventDefault()
      open(control.input)
    })
    control.input.after(button)
    return button
  })
  const show = () => { for (const button of buttons) button.hidden = !tick.checked }
  tick.onchange = () => { keep(SCAN_KEY, tick.checked); show() }
  form.state.before(make("label", {class: "scanner", for: tick.id}, tick, say("Scan with the camera")))
  show()
}

class Scan {
  constructor(form, control, use, opener) {
    this.form = form
    this.control = control
    this.use = use
    this.opener = opener
    const title = say("Scan: {label}", {label: control.about.label})
    this.closer = make("button", {type: "button", class: "icon-button", "aria-label": say("Close")}, icon("remove"))
    this.closer.onclick = () => this.close()
    this.video = make("video", {playsinline: true, "aria-hidden": "true"})
    this.video.muted = true
    this.view = make("div", {class: "scan-view", hidden: true}, this.video)
    this.status = make("p", {role: "status"})
    this.chooser = make("input", {type: "file", accept: "image/*", capture: "environment", hidden: true, tabindex: "-1"})
    this.chooser.onchange = () => {
      if (this.chooser.files[0]) this.readPhoto(this.chooser.files[0])
      this.chooser.value = ""
    }
    this.again = make("button", {type: "button", class: "quiet", hidden: true}, say("Try again"))
    this.again.onclick = () => this.watch()
    this.photo = make("button", {type: "button", class: "quiet"}, say("Take a photo…"))
    this.photo.onclick = () => this.choosePhoto(say("Waiting for the photo…"))
    this.dialog = make("dialog", {class: "scan-panel", "aria-label": title},
      make("div", {class: "create-head"}, make("h3", {}, title), this.closer), this.view, this.status,
      make("div", {class: "actions"}, this.again, this.photo, this.chooser))
    this.dialog.addEventListener("close", () => this.left())
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation())
    this.canvas = make("canvas")
    this.reader = browserReader()
    form.root.append(this.dialog)
    this.dialog.showModal()
    if (use === "live") this.watch()
    else this.choosePhoto(say("This page may use the camera only over HTTPS. Take a photo of the code instead."))
  }

  // ---- the live picture
  async watch() {
    const turn = this.turn = {}        // another one, a photo and closing make this one stop
    this.closer.focus()
    this.again.hidden = true
    this.status.textContent = say("Starting the camera…")
    const video = {facingMode: {ideal: "environment"}, width: {ideal: 1920}, height: {ideal: 1080}}
    try {
      const stream = await navigator.mediaDevices.getUserMedia({video, audio: false})
      if (this.turn !== turn) { release(stream); return }
      this.stream = stream
      for (const track of stream.getTracks()) track.onended = () => this.stop(say("The camera was switched off."))
      this.video.srcObject = stream
      this.view.hidden = false
      await this.video.play()
      await this.look(turn)
    } catch (error) {
      if (this.turn === turn) this.stop(cameraTrouble(error))
    }
  }
  async look(turn) {
    const begun = performance.now()
    this.status.textContent = say("Hold the code inside the frame.")
    let before = ""
    while (this.turn === turn) {
      const looked = performance.now()
      const {videoWidth: width, videoHeight: height} = this.video
      const side = Math.min(width, height)             // the square that is shown
      const text = await this.read(this.video, (width - side) / 2, (height - side) / 2, side, side, FRAME_PIXELS)
      if (this.turn !== turn) return
      // A bar code that moves may be misread: what counts was read twice.
      if (text !== "" && text === before) { this.take(text); return }
      before = text || before
      const lasted = performance.now() - begun
      if (lasted > SCAN_MS) this.stop(say("No code was found within a minute, so the camera is off. The field is as it was."))
      else if (lasted > HINT_MS) {
        this.status.textContent = say("No code found yet. Hold it still, flat and well lit, close enough to fill half of the frame.")
      }
      await new Promise((done) => { setTimeout(done, Math.max(0, FRAME_MS - (performance.now() - looked))) })
    }
  }
  // The camera goes off, and what is said stays to be read.
  stop(words = "") {
    this.turn = null
    if (this.stream) release(this.stream)
    this.stream = null
    this.video.srcObject = null
    this.view.hidden = true
    this.again.hidden = this.use !== "live"
    this.status.textContent = words
  }

  // ---- a photo
  choosePhoto(words) {
    this.stop(words)                   // the device's own camera app wants the camera
    this.photo.focus()
    this.chooser.click()
  }
  async readPhoto(file) {
    this.stop(say("Reading the photo…"))
    try {
      const picture = await createImageBitmap(file)
      const text = await this.read(picture, 0, 0, picture.width, picture.height, PHOTO_PIXELS)
      if (!this.dialog.open) return
      if (text) this.take(text)
      else this.status.textContent = say("No code can be read in this photo. Take another: still, flat and well lit, the code filling half of it.")
    } catch (error) {
      this.status.textContent = error instanceof DOMException ? say("{name} is not a picture that this browser can read.", {name: file.name}) : error.message
    }
  }

  // ---- reading
  async read(source, x, y, width, height, most) {
    const scale = Math.min(1, most / Math.max(width, height))
    this.canvas.width = Math.max(1, Math.round(width * scale))
    this.canvas.height = Math.max(1, Math.round(height * scale))
    const context = this.canvas.getContext("2d", {alpha: false})
    context.filter = "grayscale(1)"
    context.drawImage(source, x, y, width, height, 0, 0, this.canvas.width, this.canvas.height)
    const reader = await this.reader
    if (reader) {
      try { return plain(nearestText(await reader.detect(this.canvas), this.canvas)) } catch { this.reader = null }
    }
    const picture = await new Promise((done) => { this.canvas.toBlob(done, "image/jpeg", 0.7) })
    const {text} = await this.form.request("scan", {image: base64(new Uint8Array(await picture.arrayBuffer()))})
    return plain(text)
  }
  take(text) {
    this.isTaken = true
    this.close()
    this.control.scanned(text)
  }

  // ---- the end
  close() {
    this.stop()
    this.dialog.close()
  }
  left() {
    this.stop()
    this.dialog.remove()
    if (this.form.scan === this) this.form.scan = null
    if (!this.isTaken) this.opener.focus()
  }
}

// Nobody types control characters, which some codes hold between their parts.
const plain = (text) => text.replace(/[\0-\x08\x0b-\x1f\x7f]/g, "").trim()
function nearestText(found, {width, height}) {
  const distance = ({boundingBox: {x, y, width: w, height: h}}) => Math.hypot(x + w / 2 - width / 2, y + h / 2 - height / 2)
  return found.filter(({rawValue}) => rawValue).sort((one, other) => distance(one) - distance(other))[0]?.rawValue ?? ""
}
function release(stream) {
  for (const track of stream.getTracks()) { track.onended = null; track.stop() }
}
function cameraTrouble(error) {
  if (!(error instanceof DOMException)) return error.message             // the server's, or that it does not answer
  const {name, message} = error
  if (name === "NotAllowedError") {
    return say("The camera may not be used: allow it for this page in the settings of the browser, or take a photo. The field is as it was.")
  }
  if (["NotFoundError", "OverconstrainedError"].includes(name)) return say("No camera was found. The field is as it was.")
  return say("The camera does not start ({reason}). Another program may be using it: close that, and try again.", {reason: message || name})
}
