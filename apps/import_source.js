// Where rows come from: a box to paste into, a file that is chosen or dropped. Both are sent in pieces.

const PIECE_BYTES = 512 * 1024
const ANSWER_MS = 30000
const MAX_KEPT_CHARS = 500000

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "")
    else if (value !== false && value !== null) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

const base64 = (bytes) => {
  let text = ""
  for (let place = 0; place < bytes.length; place += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(place, place + 0x8000))
  }
  return btoa(text)
}

export function render({model}) {
  const waiting = new Map()
  let last = 0
  let isBusy = false

  model.on("msg:custom", ({number, error, download, ...answer}) => {
    if (download) {
      const link = make("a", {href: download, download: ""})
      root.append(link)
      link.click()
      link.remove()
      return
    }
    const request = waiting.get(number)
    if (!request) return
    waiting.delete(number)
    clearTimeout(request.timer)
    if (error) request.fail(new Error(error))
    else request.done(answer)
  })
  const ask = (type, data) => new Promise((done, fail) => {
    const number = ++last
    const timer = setTimeout(() => {
      waiting.delete(number)
      fail(new Error(say("The server does not answer. Nothing was imported. Send it again.")))
    }, ANSWER_MS)
    waiting.set(number, {done, fail, timer})
    model.send_msg({type, number, ...data})
  })

  const box = make("textarea", {id: "paste", rows: "7", spellcheck: "false", autocomplete: "off", "aria-describedby": "paste-help"})
  const use = make("button", {type: "button", class: "btn primary"}, say("Use the pasted rows"))
  const file = make("input", {type: "file", id: "file", accept: ".csv,.tsv,.txt,.tab,.xlsx,.xlsm,.parquet,.pq", "aria-describedby": "file-help"})
  const bar = make("progress", {max: "100", value: "0", "aria-label": say("Sent"), hidden: true})
  const status = make("p", {class: "status", role: "status"})
  const problem = make("p", {class: "problem", role: "alert", hidden: true})
  const drop = make("div", {class: "drop"},
    make("label", {for: "file", class: "title"}, say("A file")), file,
    make("p", {class: "note", id: "file-help"}, model.limits))
  const root = make("div", {class: "source"},
    make("section", {class: "paste"},
      make("label", {for: "paste", class: "title"}, say("Rows from a spreadsheet")), box,
      make("p", {class: "note", id: "paste-help"},
        say("Copy cells, names of the columns among them, and paste them here. Nothing is written before you say so.")),
      make("p", {class: "row"}, use)),
    drop, make("div", {class: "sending"}, problem, status, bar))

  // What was pasted is kept in this browser until it is imported or removed, as far as it is not very large.
  const kept = () => { try { return localStorage.getItem(model.place) ?? "" } catch { return "" } }
  const keep = () => {
    try {
      if (box.value.trim() && box.value.length <= MAX_KEPT_CHARS) localStorage.setItem(model.place, box.value)
      else localStorage.removeItem(model.place)
    } catch { /* a browser may keep nothing, or be full */ }
    empty.hidden = !box.value
  }
  const empty = make("button", {type: "button", class: "btn"}, say("Empty the box"))
  empty.addEventListener("click", () => { box.value = ""; keep(); box.focus() })
  use.after(empty)
  box.value = kept()
  empty.hidden = !box.value
  if (box.value) status.textContent = say("The rows that you pasted are still here.")
  box.addEventListener("input", keep)

  async function send(blob, name) {
    if (isBusy) return
    isBusy = true
    problem.hidden = true
    bar.hidden = false
    bar.value = 0
    status.textContent = say("Sending {name}…", {name})
    try {
      const {reference} = await ask("upload", {name, size: blob.size})
      for (let offset = 0; offset < blob.size; offset += PIECE_BYTES) {
        const piece = new Uint8Array(await blob.slice(offset, offset + PIECE_BYTES).arrayBuffer())
        await ask("piece", {reference, offset, content: base64(piece)})
        bar.value = Math.round((100 * Math.min(offset + PIECE_BYTES, blob.size)) / blob.size)
        status.textContent = say("Sending {name}: {percent} %", {name, percent: String(bar.value)})
      }
      await ask("uploaded", {reference, name})
      status.textContent = say("Reading…")
    } catch (error) {
      problem.textContent = error.message
      problem.hidden = false
      status.textContent = ""
      file.value = ""
    } finally {
      isBusy = false
      bar.hidden = true
    }
  }
  const sendPasted = () => {
    if (!box.value.trim()) {
      problem.textContent = say("There is nothing in the box yet. Paste rows into it.")
      problem.hidden = false
      box.focus()
      return
    }
    send(new Blob([box.value]), say("Pasted rows"))
  }
  use.addEventListener("click", sendPasted)
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      sendPasted()
    }
  })
  file.addEventListener("change", () => { if (file.files.length) send(file.files[0], file.files[0].name) })
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over") })
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"))
  drop.addEventListener("drop", (event) => {
    event.preventDefault()
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0], event.dataTransfer.files[0].name)
  })
  // While a window is being set up its parts are moved, and a moved field loses the focus again: so the focus
  // is given until it has stayed for half a second, or the visitor has put it elsewhere.
  function focusWhenShown(tries = 0, stayed = 0) {
    if (tries > 600 || stayed > 30) return
    const active = document.activeElement
    const inner = root.isConnected ? root.getRootNode().activeElement : null
    const isFree = active === null || active === document.body || active.id === "heading"
    if (document.body.classList.contains("waiting")) stayed = 0
    else if (inner === box) stayed += 1
    else if ((!isFree && active.shadowRoot === null) || root.contains(inner)) return
    else if (isFree || stayed === 0) box.focus()
    else return
    requestAnimationFrame(() => focusWhenShown(tries + 1, stayed))
  }
  focusWhenShown()
  return root
}
