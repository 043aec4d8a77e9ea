// SlateDBTests
