"""The browser over a pipeline: pages, the shell that shows them, and the server that serves them."""
