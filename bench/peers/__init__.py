"""Other people's products beside ours: installed from the package index, each in an environment of its own."""
