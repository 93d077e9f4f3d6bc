//! CSV for spreadsheets (RFC 4180). Cells are escaped, so that no cell acts as a formula.

pub(super) use csv::Error;

/// Renders the rows as CSV.
pub(super) fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Result<Vec<u8>, Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.write_record(row.map(escape_formula))?;
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

/// Escapes a cell that a spreadsheet would read as a formula: a leading apostrophe makes it text.
fn escape_formula(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_looks_like_a_formula_is_escaped_and_others_are_unchanged() {
        let cells = [
            "=1+1", "+49", "-1", "@SUM(A1)", "\tx", "\r=1", "\n=1", "a=1", "'x", "a,b", "\"q\"", "", "é",
        ];
        let text = table(cells.iter().map(|cell| ["x".to_owned(), (*cell).to_owned()])).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*text);
        let read: Vec<String> = reader.records().map(|row| row.unwrap()[1].to_owned()).collect();
        let expected = [
            "'=1+1",
            "'+49",
            "'-1",
            "'@SUM(A1)",
            "'\tx",
            "'\r=1",
            "'\n=1",
            "a=1",
            "'x",
            "a,b",
            "\"q\"",
            "",
            "é",
        ];
        assert_eq!(read, expected);
    }
}
