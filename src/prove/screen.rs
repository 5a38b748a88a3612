//! The text screen of the guest's graphics card, from what QEMU's monitor prints of its memory.

/// Columns of a text screen.
const COLUMNS: usize = 80;

/// Rows of a text screen.
const ROWS: usize = 25;

/// Bytes of a text screen: a character and its colours for each place.
pub const SIZE: usize = COLUMNS * ROWS * 2;

/// Where the card's text memory begins.
pub const BASE: u64 = 0xb_8000;

/// The size of that memory; what lies beyond begins again at its start.
pub const MEMORY: u64 = 0x8000;

/// The value in the monitor's answer to `i /b`, such as `portb[0x03d5] = 0x0b`.
#[must_use]
pub fn port(answer: &str) -> Option<u8> {
    let digits = answer.split_once("= 0x")?.1.trim();
    u8::from_str_radix(digits, 16).ok()
}

/// The bytes in the monitor's answer to `xp /NNNwx`: lines such as `00000000000b8000: 0x0720075b 0x07200720`.
#[must_use]
pub fn memory(answer: &str) -> Vec<u8> {
    let words =
        answer.lines().filter_map(|line| line.split_once(':')).flat_map(|(_, rest)| rest.split_whitespace());
    words
        .map_while(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .take(SIZE / 4)
        .flat_map(u32::to_le_bytes)
        .collect()
}

/// The lines on a text screen, without blanks at their ends and without empty lines at its end.
#[must_use]
pub fn lines(memory: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = memory
        .chunks(COLUMNS * 2)
        .take(ROWS)
        .map(|row| {
            let text: String = row.iter().step_by(2).map(|byte| character(*byte)).collect();
            text.trim_end().to_owned()
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// The characters of code page 437 from 128.
const HIGH: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

fn character(byte: u8) -> char {
    match byte {
        b' '..=b'~' => char::from(byte),
        128.. => HIGH.chars().nth(usize::from(byte - 128)).unwrap_or(' '),
        _ => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::{HIGH, lines, memory, port};

    #[test]
    fn the_monitors_answers_are_read() {
        assert_eq!(port("portb[0x03d4] = 0x0b\r\n"), Some(0x0b));
        assert_eq!(port("unknown command"), None);
        // As QEMU 7.2 prints it.
        let answer = "00000000000b8000: 0x0720075b 0x07200720 0x07330720 0x0739072e\r\n\
            00000000000b8010: 0x07360737 0x07320732 0x075d0736 0x07690720\r\n";
        let bytes = memory(answer);
        assert_eq!((bytes.len(), &bytes[..4]), (32, &[0x5b, 7, 0x20, 7][..]));
        assert_eq!(lines(&bytes), ["[    3.976226] i"]);
        assert_eq!(memory("Cannot access memory"), Vec::<u8>::new());
        assert_eq!(memory(&"0: 0x07200720 ".repeat(9).repeat(1000)).len() % 4, 0);
    }

    #[test]
    fn a_screen_has_rows() {
        let mut screen = [[b' ', 7]; 2000].concat();
        screen[0] = b'G';
        screen[160] = 0xc9;
        screen[162] = 0;
        screen[164] = 0xff;
        screen[3 * 160 + 158] = b'x';
        let lines = lines(&screen);
        assert_eq!((lines.len(), lines[0].as_str(), lines[1].as_str()), (4, "G", "╔"));
        assert_eq!(lines[3].len(), 80);
        assert_eq!(HIGH.chars().count(), 128);
    }
}
