#include "ctoml.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include <toml.hpp>

namespace {

constexpr size_t errors_max = 20;
/// What a table is called whose heading cannot be read; no key begins so.
constexpr const char *unread_mark = "\x01";

std::string json_text(const std::string &text) {
    static const char digits[] = "0123456789abcdef";
    std::string result = "\"";
    for (unsigned char byte : text) {
        if (byte == '"' || byte == '\\') {
            result += '\\';
            result += static_cast<char>(byte);
        } else if (byte < 0x20) {
            result += "\\u00";
            result += digits[byte >> 4];
            result += digits[byte & 15];
        } else {
            result += static_cast<char>(byte);
        }
    }
    return result + "\"";
}

std::string place(size_t line, size_t column) {
    return "\"line\":" + std::to_string(line) + ",\"column\":" + std::to_string(column);
}

struct Writer {
    std::string out;

    void table(const toml::table &table, std::vector<std::string> &path) {
        for (const auto &[key, value] : table) {
            // What stood below a heading that cannot be read belongs nowhere.
            if (path.empty() && key.rfind(unread_mark, 0) == 0) continue;
            path.push_back(key);
            if (!out.empty()) out += ',';
            out += "{\"path\":[";
            for (size_t i = 0; i < path.size(); i++) out += (i ? "," : "") + json_text(path[i]);
            out += "],";
            content(value);
            out += '}';
            if (value.is_table()) this->table(value.as_table(), path);
            path.pop_back();
        }
    }

    void content(const toml::value &value) {
        const auto where = value.location();
        out += place(where.line(), where.column());
        switch (value.type()) {
        case toml::value_t::string: return typed("string", value.as_string().str);
        case toml::value_t::integer: return typed("integer", integer(value.as_integer(), where));
        case toml::value_t::boolean: return typed("boolean", value.as_boolean() ? "true" : "false");
        case toml::value_t::floating: {
            std::ostringstream text;
            text.precision(17);
            text << value.as_floating();
            return typed("float", text.str());
        }
        case toml::value_t::table: return typed("table", "");
        case toml::value_t::array: return array(value.as_array());
        default: return typed("date", "");
        }
    }

    /// The library takes the nearest number for one that is too large: then it is as the text has it.
    static std::string integer(toml::integer number, const toml::source_location &where) {
        const auto line = where.line_str();
        const auto begin = where.column() - 1;
        if (begin >= line.size()) return std::to_string(number);
        std::string written = line.substr(begin, line.find_first_not_of("+-_0123456789abcdefABCDEFox", begin) - begin);
        std::string digits;
        for (char letter : written) if (letter != '_') digits += letter;
        int base = 10;
        const auto prefix = digits.substr(0, 2);
        if (prefix == "0x") base = 16; else if (prefix == "0o") base = 8; else if (prefix == "0b") base = 2;
        errno = 0;
        strtoll(digits.c_str() + (base == 10 ? 0 : 2), nullptr, base);
        return errno == ERANGE ? written : std::to_string(number);
    }

    void array(const toml::array &items) {
        typed("array", "");
        out += ",\"items\":[";
        for (size_t i = 0; i < items.size(); i++) {
            out += i ? ",{" : "{";
            content(items[i]);
            out += '}';
        }
        out += ']';
    }

    void typed(const char *type, const std::string &text) {
        out += ",\"type\":\"" + std::string(type) + "\",\"text\":" + json_text(text);
    }
};

/// The library's own words without its names, and without the lines that show the text.
std::string reason(const char *what) {
    std::string line(what, strcspn(what, "\n"));
    for (const char *mark : {"[error] ", "toml::"}) {
        if (line.rfind(mark, 0) == 0) line.erase(0, strlen(mark));
    }
    const auto colon = line.find(": ");
    return colon == std::string::npos ? line : line.substr(colon + 2);
}

struct Error {
    size_t line, column;
    std::string text;
};

/// Makes a line empty, and keeps the numbers of the others. False when there is nothing in it. In place of a heading stands
/// another, so that what is below it is not taken for part of the table before.
bool blank(std::string &text, size_t number) {
    size_t begin = 0;
    for (size_t line = 1; line < number; line++) {
        const auto end = text.find('\n', begin);
        if (end == std::string::npos) return false;
        begin = end + 1;
    }
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto length = end - begin;
    if (length == 0) return false;
    const auto first = text.find_first_not_of(" \t", begin);
    const bool is_heading = first < end && text[first] == '[' && text.compare(begin, 8, "[\"\\u0001") != 0;
    text.replace(begin, length, is_heading ? "[\"\\u0001" + std::to_string(number) + "\"]" : "");
    return true;
}

std::string json(std::string text) {
    std::vector<Error> errors;
    Writer writer;
    while (errors.size() < errors_max) {
        try {
            std::istringstream stream(text);
            const toml::value root = toml::parse(stream, "");
            std::vector<std::string> path;
            writer.table(root.as_table(), path);
            break;
        } catch (const toml::exception &error) {
            const auto where = error.location();
            errors.push_back({where.line(), where.column(), reason(error.what())});
            if (!blank(text, where.line())) break;
        } catch (const std::exception &error) {
            errors.push_back({0, 0, reason(error.what())});
            break;
        }
    }
    std::string result = "{\"values\":[" + writer.out + "],\"errors\":[";
    for (size_t i = 0; i < errors.size(); i++) {
        result += (i ? ",{" : "{") + place(errors[i].line, errors[i].column) + ",\"text\":" + json_text(errors[i].text) + "}";
    }
    return result + "]}";
}

}  // namespace

char *ctoml_json(const char *text, size_t length) {
    try {
        const auto result = json(std::string(text, length));
        auto *copy = static_cast<char *>(malloc(result.size() + 1));
        if (copy) memcpy(copy, result.c_str(), result.size() + 1);
        return copy;
    } catch (...) {
        return nullptr;
    }
}
