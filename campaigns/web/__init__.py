"""Pages and endpoints: `one_click` answers unsubscribe links."""
