// Draws HTML once, fills the texts that change, and does what `live_html.py` says of data attributes.
export function render({model}) {
  const box = document.createElement("div")
  const all = selector => [...box.querySelectorAll(selector)]
  function filter(words) {
    for (const item of all("[data-search]")) {
      item.hidden = !words.every(word => item.dataset.search.includes(word))
    }
    for (const group of all("[data-group]")) group.hidden = !group.querySelector("[data-search]:not([hidden])")
    const none = box.querySelector("[data-none]")
    if (none) none.hidden = all("[data-search]:not([hidden])").length > 0
  }
  function fill() {
    for (const item of all("[data-live]")) {
      const text = model.live[item.dataset.live] ?? ""
      if (item.textContent !== text) item.textContent = text
    }
  }
  function draw() {
    const active = box.getRootNode().activeElement
    const pressed = active && box.contains(active) ? active.dataset.act ?? "" : null
    box.innerHTML = model.html
    fill()
    if (pressed !== null) (box.querySelector(`[data-act="${CSS.escape(pressed)}"]`) ?? box.querySelector("[data-focus]"))?.focus()
    const field = box.querySelector("input[data-filter]")
    if (!field) return
    const narrow = () => filter(field.value.toLowerCase().split(/\s+/).filter(Boolean))
    let pause = 0
    field.addEventListener("input", () => {
      narrow()
      clearTimeout(pause)
      pause = setTimeout(() => model.send_msg({filter: field.value}), 300)
    })
    field.addEventListener("keydown", event => {
      const first = box.querySelector("[data-search]:not([hidden]) a")
      if (event.key === "Escape") { field.value = ""; field.dispatchEvent(new Event("input")) }
      if (event.key === "Enter" && first) { clearTimeout(pause); location.hash = first.getAttribute("href") }
    })
    narrow()
  }
  box.addEventListener("click", event => {
    const doing = event.target.closest("[data-act]")
    if (doing) model.send_msg({act: doing.dataset.act})
    const button = event.target.closest("[data-copy]")
    if (!button) return
    const text = box.querySelector(`#${button.dataset.copy}`).textContent
    const said = button.textContent
    const tell = word => { button.textContent = word; setTimeout(() => { button.textContent = said }, 2000) }
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(() => tell(say("Copied")), () => tell(say("Not allowed")))
      return
    }
    const area = document.createElement("textarea")
    area.value = text
    document.body.append(area)
    area.select()
    tell(document.execCommand("copy") ? say("Copied") : say("Not allowed"))
    area.remove()
    button.focus()
  })
  const shortcut = event => {
    if (!event.altKey && !event.ctrlKey && !event.metaKey && !event.defaultPrevented) {
      const target = event.composedPath()[0]
      const isTyping = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
      // Single keys can be turned off, where the shell's "/" can.
      const single = isTyping || localStorage.getItem("dj-panel-slash") === "off" ? null
        : box.querySelector(`[data-key="${CSS.escape(event.key)}"]`)
      if (single) { event.preventDefault(); single.click() }
      return
    }
    if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return
    const link = box.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`)
    if (!link) return
    event.preventDefault()
    link.click()
  }
  document.addEventListener("keydown", shortcut)
  model.on("remove", () => document.removeEventListener("keydown", shortcut))
  model.on("html", draw)
  model.on("live", fill)
  draw()
  return box
}
