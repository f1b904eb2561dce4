// A block of cells from a spreadsheet, pasted into a part: it fills the cells to the right and below, and adds rows.
//
// Each text is read as if it were typed. A block that does not fit is refused as a whole, and an Undo takes it back.

const MAX_PASTED = 200

// Cells of a spreadsheet as text: tabs between columns, and quotation marks around what holds tabs or lines itself.
function cellsOf(text) {
  const lines = `\n${text.replace(/\r\n?/g, "\n").replace(/\n+$/, "")}`
  const rows = []
  for (const [, mark, quoted, plain] of lines.matchAll(/([\t\n])(?:"((?:[^"]|"")*)"(?=[\t\n]|$)|([^\t\n]*))/g)) {
    if (mark === "\n") rows.push([])
    rows.at(-1).push((quoted?.replaceAll('""', '"') ?? plain).trim())
  }
  return rows
}

// Why a block cannot be pasted there; empty if it can.
function pasteProblem(block, columns, label) {
  if (block.length > MAX_PASTED) {
    return say("This block has {n} rows, and at most {most} are pasted at once. Nothing was pasted.", {n: block.length, most: MAX_PASTED})
  }
  const width = Math.max(...block.map((texts) => texts.length))
  if (width > columns.length) {
    const left = columns.length
    return label ? say("This block has {n} columns, and a row of {label} takes {left}. Nothing was pasted.", {n: width, label, left})
      : say("This block has {n} columns, and from this cell on there are {left}. Nothing was pasted.", {n: width, left})
  }
  const closed = columns.find(({kind}, i) => ["file", "none"].includes(kind) && block.some((texts) => texts[i]))
  return closed ? say("{label} takes no text. Nothing was pasted.", {label: closed.label}) : ""
}

async function pasteBlock(grid, event) {
  const block = cellsOf(event.clipboardData?.getData("text/plain") ?? "")
  const width = Math.max(...block.map((texts) => texts.length))
  if (block.length === 1 && width === 1) return           // one text goes where one types
  const target = event.composedPath()[0]
  const {columns, counter} = grid.about
  const isIn = (control) => control.root.contains(target)
  const row = grid.rows.find(({controls}) => controls.some(isIn))
  if (!row && target !== grid.add) return
  const from = row ? row.controls.findIndex(isIn) : width === columns.length ? 0 : Math.max(0, columns.findIndex(({name}) => name !== counter))
  event.preventDefault()
  const problem = pasteProblem(block, columns.slice(from), row ? "" : grid.about.label)
  grid.error.textContent = problem
  grid.error.hidden = problem === ""
  if (problem) { grid.host.keepInSight(grid.error); return }

  const before = grid.host.snapshot
  const at = row ? grid.rows.indexOf(row) : grid.rows.length
  const filled = block.flatMap((texts, i) => fillRow(grid.rows[at + i] ?? grid.addRow({}, true, false), from, texts, counter))
  const words = sayMany("{n} row was pasted.", "{n} rows were pasted.", block.length)
  grid.host.offerUndo(words, before, true)
  const line = grid.host.undoing.firstChild
  const wrong = () => filled.filter(({root, errorText}) => root.isConnected && errorText)
  grid.host.tellPasted = () => {
    const n = wrong().length
    const text = n ? `${words} ${sayMany("{n} cell needs a correction.", "{n} cells need a correction.", n)}` : words
    if (line.textContent !== text) line.textContent = text
  }
  if (!row) filled[0]?.focus()
  grid.host.keepInSight(row ? target : filled[0]?.input)   // the line has made the bar higher
  for (const control of filled) {
    // One after the other, so that many of them leave the server time for what is typed meanwhile.
    if (control.root.isConnected && control.hasText) await (control.settle?.() ?? grid.host.check(control))
  }
  const focused = grid.controls.find(({hasFocus}) => hasFocus)
  if (focused) for (const one of [...wrong().slice(0, 1), focused]) grid.host.keepInSight(one.root)
}

// Fill cells of one row as if they were typed into, and return these.
function fillRow(row, from, texts, counter) {
  const cells = texts.map((text, i) => ({text, control: row.controls[from + i]}))
    .filter(({text, control}) => text !== "" || control.about.name !== counter)
  for (const {control} of cells) control.close?.()
  row.store.set(Object.assign({}, ...cells.map(({text, control}) => control.textsOf(text))))
  for (const {control} of cells) {
    control.isTouched = true
    control.setError("")
  }
  return cells.map(({control}) => control)
}
