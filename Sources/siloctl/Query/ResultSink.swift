import CommandLineTool
import Foundation

/// Where rows go: to the terminal, or into a file.
struct ResultSink {
    private let file: FileHandle?
    /// Nil: the standard output.
    let path: String?

    static let standard = ResultSink()

    private init() { (file, path) = (nil, nil) }

    /// A file that is new, or is emptied.
    init(_ path: String) throws(Failure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw Failure("cannot write \(path): \(String(cString: strerror(errno)))") }
        file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        self.path = path
    }

    func write(_ text: String) throws(Failure) {
        guard let file else { return Output.write(text) }
        do { try file.write(contentsOf: Data(text.utf8)) } catch {
            throw Failure("cannot write \(path ?? ""): \(SystemReason(error)?.description ?? "\(error)")")
        }
    }
}
