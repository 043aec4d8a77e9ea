// SlateDBBinding
