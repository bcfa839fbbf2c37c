"""Drawing people: markers, overlay images, videos and figures (pure), and the node that shows them."""
