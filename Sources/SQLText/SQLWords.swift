/// What the language has words for, to complete them. The server says what they mean.
package enum SQLWords {
    package static let keywords = words(
        """
        SELECT FROM WHERE GROUP ORDER BY HAVING LIMIT OFFSET DISTINCT ALL AS AND OR NOT IN IS NULL LIKE ILIKE BETWEEN ESCAPE CASE
        WHEN THEN ELSE END CAST EXISTS TRUE FALSE ASC DESC NULLS FIRST LAST JOIN INNER LEFT CROSS ON USING UNION INTERSECT EXCEPT
        WITH RECURSIVE VALUES OVER PARTITION FILTER EXPLAIN
        """)
    /// What a statement begins with.
    package static let beginnings = words("SELECT WITH VALUES EXPLAIN")
    /// What ends the list of tables after FROM.
    package static let clauses = Set(
        words("SELECT FROM WHERE GROUP ORDER HAVING LIMIT OFFSET ON USING UNION INTERSECT EXCEPT VALUES"))

    package static let functions = words(
        """
        count sum avg min max total group_concat string_agg row_number rank dense_rank ntile percent_rank cume_dist lag lead
        first_value last_value nth_value coalesce ifnull nullif greatest least lower upper length octet_length substr trim ltrim
        rtrim replace strpos concat starts_with ends_with contains hex abs round floor ceil sqrt ln log10 log2 exp power
        json_extract json_array_length json_type json_valid element_at array_contains array_any_value map_keys map_values
        cardinality now_ms
        """)

    private static func words(_ text: String) -> [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }
}
