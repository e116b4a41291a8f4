//! The one function of the crate `hex` that the code for Rust calls, with its signature.

/// Bytes from pairs of hexadecimal digits.
///
/// # Errors
/// There is something else among them, or a digit is left over.
pub fn decode<T: AsRef<[u8]>>(data: T) -> Result<Vec<u8>, ()> {
    let (pairs, rest) = data.as_ref().as_chunks::<2>();
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8).ok_or(());
    if !rest.is_empty() {
        return Err(());
    }
    pairs.iter().map(|[high, low]| Ok(digit(*high)? << 4 | digit(*low)?)).collect()
}
