//! Tables for spreadsheets: comma separated values (RFC 4180) in which no cell is taken for a formula, whatever its
//! text is.

pub(super) use csv::Error as Fault;

/// The rows as one text.
pub(super) fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Result<Vec<u8>, Fault> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.write_record(row.map(harmless))?;
    }
    table.into_inner().map_err(|fault| fault.into_error().into())
}

/// Spreadsheets take what begins with one of these for a formula; a leading apostrophe makes it text.
fn harmless(cell: String) -> String {
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
    fn no_cell_begins_like_a_formula_and_all_else_stays_as_it_is() {
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
