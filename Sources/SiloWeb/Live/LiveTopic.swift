import Foundation
import Protobuf

/// Parts of a page that change while somebody looks. They are rendered here, once for all who look, and sent where they differ.
///
/// A page with one names it as `Content.live`, gives the same parts in its body (`Region.html`), and is named in `Site.Contents`.
struct LiveTopic: Sendable {
    /// Of its address, `/live/…`.
    let name: String
    /// As of a page: who may not call it gets none.
    let needs: String
    /// A part whose content changes.
    struct Region: Sendable {
        /// Of the element on the page.
        let id: String
        let content: HTML

        init(_ id: String, _ content: HTML) {
            self.id = id
            self.content = content
        }
    }
    let regions: @Sendable (Site) async throws -> [Region]

    init<Request: Message, Answer: Message>(
        _ name: String, needs method: Method<Request, Answer>, _ regions: @escaping @Sendable (Site) async throws -> [Region]
    ) {
        self.name = name
        needs = method.path
        self.regions = regions
    }

    func isDue(_ hub: EventHub) -> Bool { hub.hasListeners(name) }

    func publish(on hub: EventHub, _ site: Site) async {
        // What cannot be had now is tried again in a second.
        guard let regions = try? await regions(site) else { return }
        hub.publish(name, regions)
    }
}

/// An event of a stream (https://html.spec.whatwg.org/multipage/server-sent-events.html).
enum EventFrame {
    static func regions(_ regions: [LiveTopic.Region]) -> [UInt8] {
        let texts = Dictionary(regions.map { ($0.id, $0.content.text) }) { _, last in last }
        // Texts are always representable; JSON has no line ends of its own.
        guard let data = try? JSONEncoder().encode(texts) else { return [] }
        return Array("event: regions\ndata: ".utf8) + data + Array("\n\n".utf8)
    }

    /// The first one: which build speaks, and when to come again after it has gone.
    static var hello: [UInt8] { Array("retry: 2000\nevent: hello\ndata: \(Assets.build)\n\n".utf8) }

    /// Nothing is new, and the client is still there.
    static var pulse: [UInt8] { Array(": \n\n".utf8) }
}
