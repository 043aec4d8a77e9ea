// SlateDB
