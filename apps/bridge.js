// The invisible component that carries messages between the shell (shell.js) and Python.
const receive = (data) => window.djPanelShell.receive(data)

export function render({model, view}) {
  const shell = window.djPanelShell
  const document_ = view.model.document
  showLateParts(view)
  model.off("msg:custom", receive)   // this may run again on the same view
  model.on("msg:custom", receive)
  shell.attach({send: (data) => model.send_msg(data)}, model.window_id)

  // The document outlives its views: after a reconnect it is filled anew and this runs again.
  if (document_.djPanelWatched) return
  document_.djPanelWatched = true
  forgetModelsOfServer(document_)
  document_.on_event("connection_lost", (_, event) => {
    const connection = event.connection.deref()
    keepArraysOnReturn(document_, connection)
    beginAgain(connection)
    shell.lost(() => event.reconnect())
  })
  document_.on_event("client_reconnected", () => shell.back())
}

// BokehJS listens to which parts a view has once that view and all beside it are made, some of which load their scripts
// first. Parts that come in place of others meanwhile were never shown: here it is looked for them when the view is.
function showLateParts(view) {
  let base = view
  for (let proto = view; proto !== null; proto = Object.getPrototypeOf(proto)) {
    if (Object.hasOwn(proto, "update_children")) base = proto
  }
  if (base === view || base.djPanelMended) return
  base.djPanelMended = true
  const {lazy_initialize: make, connect_signals: listen, render} = base
  const made = new WeakMap()           // view -> the parts it began with
  const late = new WeakSet()
  base.lazy_initialize = async function () {
    made.set(this, [...this.child_models])
    await make.call(this)
  }
  base.connect_signals = function () {
    listen.call(this)
    const parts = this.child_models, before = made.get(this) ?? parts
    if (parts.length !== before.length || parts.some((part, i) => part !== before[i])) late.add(this)
  }
  base.render = function () {
    render.call(this)
    if (late.delete(this)) void this.update_children()
  }
}

// BokehJS takes the models that a patch of the server brought for models of its own making, and sends the first of
// them that has an event back whole; the server then warns of a "reference already known".
function forgetModelsOfServer(document_) {
  const apply = document_.apply_json_patch
  document_.apply_json_patch = function (...args) {
    const own = new Set(this._new_models)
    apply.apply(this, args)
    for (const model of this._new_models ?? []) if (!own.has(model)) this._new_models.delete(model)
  }
}

// After a reconnect BokehJS fetches the document anew, but drops the arrays that came with it, and sends the
// document back to the server that it came from. Here the arrays are kept and nothing is sent back.
function keepArraysOnReturn(document_, connection) {
  if (connection === undefined || connection.djPanelMended || connection._pull_doc_json === undefined) return
  connection.djPanelMended = true
  let buffers = new Map()
  const pull = connection._pull_doc_json
  connection._pull_doc_json = async function () {
    const reply = await pull.call(this)
    buffers = reply.buffers
    return reply
  }
  document_.replace_with_json = function (json) {
    const fresh = this.constructor.from_json(json, [], buffers)
    const add = this.add_root
    this.add_root = (root) => add.call(this, root, {sync: false})
    try {
      fresh.destructively_move(this)
    } finally {
      delete this.add_root
      this._new_models?.clear()
    }
  }
}

// BokehJS keeps the half of a message that a cut left of it, and takes what the server says first for the rest: all
// that comes is out of step from then on, and the window never comes back.
//
// A server at work may also send a change before it has greeted a window that comes back. BokehJS takes that for
// another protocol, and closes the connection with a code that browsers refuse. The change is in the document that is
// fetched after the greeting.
function beginAgain(connection) {
  if (connection === undefined) return
  connection._receiver = new connection._receiver.constructor()
  if (Object.hasOwn(connection, "_awaiting_ack_handler")) return
  const greeted = connection._awaiting_ack_handler
  connection._awaiting_ack_handler = function (message, ...settle) {
    if (message.msgtype() === "ACK") greeted.call(this, message, ...settle)
  }
}
