// The invisible component that carries messages between the shell (shell.js) and Python.
const receive = (data) => window.djPanelShell.receive(data)

export function render({model, view}) {
  const shell = window.djPanelShell
  const document_ = view.model.document
  model.off("msg:custom", receive)   // this may run again on the same view
  model.on("msg:custom", receive)
  shell.attach({send: (data) => model.send_msg(data)}, model.window_id)

  // The document outlives its views: after a reconnect it is filled anew and this runs again.
  if (document_.djPanelWatched) return
  document_.djPanelWatched = true
  forgetModelsOfServer(document_)
  document_.on_event("connection_lost", (_, event) => {
    keepArraysOnReturn(document_, event.connection.deref())
    shell.lost(() => event.reconnect())
  })
  document_.on_event("client_reconnected", () => shell.back())
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
