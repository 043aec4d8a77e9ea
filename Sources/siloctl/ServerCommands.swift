import CommandLineTool

/// `servers`: those that have names.
func showServers(_ output: Output) throws {
    let file = try ServersFile.standard()
    let names = file.entries.keys.sorted()
    let rows = names.map { name -> [Line] in
        let entry = file.entries[name]
        return [
            file.standard == name ? "*" : "", "\(name)", "\(entry?.address ?? "")", "\(entry?.tenant ?? "-")",
            "\(entry?.tokenFile ?? "-")",
        ]
    }
    var object: [String: Any] = [
        "file": file.path,
        "servers": names.map { name -> [String: Any] in
            var object: [String: Any] = ["name": name]
            object["address"] = file.entries[name]?.address
            object["tenant"] = file.entries[name]?.tenant
            object["auth_token_file"] = file.entries[name]?.tokenFile
            object["tls_ca"] = file.entries[name]?.authority
            object["tls_cert"] = file.entries[name]?.certificate
            object["tls_key"] = file.entries[name]?.key
            return object
        },
    ]
    object["default"] = file.standard
    let none: [Line] = ["No servers have names. \(file.path) gives them some:", ""] + Output.lines(ServersFile.example)
    try output.print(object, names.isEmpty ? none : Table.lines(["", "Name", "Address", "Tenant", "Token File"], rows))
}
