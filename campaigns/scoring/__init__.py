"""The door to models/ for production: features, training, files and scores."""
