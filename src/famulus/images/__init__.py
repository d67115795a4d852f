"""Pictures: files, sets, class folders, index, decoding."""
