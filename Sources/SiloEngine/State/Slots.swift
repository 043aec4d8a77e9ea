/// Things in places that they keep for as long as they are there: whoever walks over them in steps meets each once.
struct Slots<Element> {
    private var places: [Element?] = []
    private var free: [Int] = []

    var count: Int { places.count - free.count }

    /// - Returns: where it is, for `remove`.
    mutating func add(_ element: Element) -> Int {
        guard let place = free.popLast() else {
            places.append(element)
            return places.count - 1
        }
        places[place] = element
        return place
    }

    mutating func remove(at place: Int) {
        guard places.indices.contains(place), places[place] != nil else { return }
        places[place] = nil
        free.append(place)
        // After a great many were there, walks are short again.
        if free.count == places.count { (places, free) = ([], []) }
    }

    /// Shows those from a place on, and moves it behind the last that was looked at.
    /// - Parameter countMax: places that are looked at.
    /// - Returns: whether there were no more.
    func forEach(from place: inout Int, atMost countMax: Int, _ body: (Element) -> Void) -> Bool {
        let end = min(places.count, place + countMax)
        while place < end {
            if let element = places[place] { body(element) }
            place += 1
        }
        return place >= places.count
    }
}
