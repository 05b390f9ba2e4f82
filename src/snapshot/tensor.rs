//! Named arrays, and the safetensors file that holds them.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

pub use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::error::{Error, Result};

/// Largest header accepted from a file, in bytes; the limit of the format's reference reader.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Key of the checksum among the file's metadata. The only key, so that equal tensors give equal
/// files.
const CHECKSUM: &str = "crc32";

/// A named array in row-major order, as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name, unique in its file.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its elements, little-endian; as many as the shape says.
    pub bytes: Vec<u8>,
}

/// A number that a [`Tensor`] can hold.
pub trait Number: Copy {
    /// Its name on disk.
    const DTYPE: Dtype;
    /// Writes it into exactly its size of bytes.
    fn put(self, bytes: &mut [u8]);
    /// Reads it from exactly its size of bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! numbers {
    ($($number:ty => $dtype:ident),*) => {$(
        impl Number for $number {
            const DTYPE: Dtype = Dtype::$dtype;
            fn put(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$number>()];
                array.copy_from_slice(bytes);
                <$number>::from_le_bytes(array)
            }
        }
    )*};
}

numbers!(u8 => U8, u16 => U16, i32 => I32, u32 => U32, f32 => F32, f64 => F64, i64 => I64, u64 => U64);

impl Tensor {
    /// A tensor of `values` in row-major order.
    ///
    /// # Panics
    ///
    /// If the shape does not hold exactly the values.
    pub fn new<T: Number>(name: impl Into<String>, shape: &[usize], values: &[T]) -> Tensor {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let mut bytes = vec![0; size_of_val(values)];
        for (cell, value) in bytes.chunks_exact_mut(size_of::<T>()).zip(values) {
            value.put(cell);
        }
        Tensor {
            name: name.into(),
            dtype: T::DTYPE,
            shape: shape.to_vec(),
            bytes,
        }
    }

    /// The elements. Fails with status 65 if they are of another type.
    pub fn values<T: Number>(&self) -> Result<Vec<T>> {
        if self.dtype != T::DTYPE {
            return Err(wrong(format!(
                "expected `{}` as {}, found {}",
                self.name,
                T::DTYPE,
                self.dtype
            )));
        }
        Ok(self
            .bytes
            .chunks_exact(size_of::<T>())
            .map(T::get)
            .collect())
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes the tensor of that name out of `tensors`. Fails with status 65 if there is none.
pub fn take(tensors: &mut Vec<Tensor>, name: &str) -> Result<Tensor> {
    match tensors.iter().position(|tensor| tensor.name == name) {
        Some(position) => Ok(tensors.swap_remove(position)),
        None => Err(wrong(format!("expected a tensor `{name}`, found none"))),
    }
}

fn wrong(expected: String) -> Error {
    Error::data(Path::new("saved tensors"), 0, 0, expected)
}

/// Writes a safetensors file: header, then all elements, sorted by type and name.
pub(super) fn write_tensors(out: &mut dyn Write, tensors: &[Tensor]) -> io::Result<()> {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    // Largest elements first keeps every tensor aligned for readers that map the file.
    sorted.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
    let header = header(&sorted)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    sorted
        .iter()
        .try_for_each(|tensor| out.write_all(&tensor.bytes))
}

fn header(sorted: &[&Tensor]) -> io::Result<Vec<u8>> {
    let names: BTreeSet<&str> = sorted.iter().map(|tensor| tensor.name.as_str()).collect();
    if names.len() < sorted.len() {
        return Err(io::Error::other("two tensors have the same name"));
    }
    let mut checksum = crc32fast::Hasher::new();
    let mut end = 0;
    let mut infos = Vec::new();
    for tensor in sorted {
        checksum.update(&tensor.bytes);
        let begin = end;
        end += tensor.bytes.len();
        let info = TensorInfo {
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            data_offsets: (begin, end),
        };
        infos.push((tensor.name.clone(), info));
    }
    let sum = format!("{:08x}", checksum.finalize());
    let extra = HashMap::from([(CHECKSUM.to_owned(), sum)]);
    let metadata = Metadata::new(Some(extra), infos).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Reads a safetensors file, in the order of the file.
///
/// Status 66 if it cannot be opened; 65 if it is cut short, is no safetensors file or does not
/// match the checksum that petuum wrote into it.
pub fn read_tensors(path: &Path) -> Result<Vec<Tensor>> {
    let (mut file, metadata) = open(path)?;
    let mut checksum = crc32fast::Hasher::new();
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else {
            continue;
        };
        let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
        file.read_exact(&mut bytes)
            .map_err(|error| Error::no_input(path, error))?;
        checksum.update(&bytes);
        tensors.push(Tensor {
            name,
            dtype: info.dtype,
            shape: info.shape.clone(),
            bytes,
        });
    }
    let sum = format!("{:08x}", checksum.finalize());
    match metadata
        .metadata()
        .as_ref()
        .and_then(|extra| extra.get(CHECKSUM))
    {
        Some(stated) if *stated != sum => Err(Error::data(
            path,
            0,
            0,
            format!("expected the checksum {stated}, found {sum}; the file is damaged"),
        )),
        _ => Ok(tensors),
    }
}

/// Checks that a file is a whole safetensors file, by its header and its length.
pub(super) fn check_tensors(path: &Path) -> Result<()> {
    open(path).map(|_| ())
}

/// Opens a file and reads its header; the length of the file is what the header says.
fn open(path: &Path) -> Result<(BufReader<File>, Metadata)> {
    let unreadable = |error: io::Error| Error::no_input(path, error);
    let bad = |expected: String| Error::data(path, 0, 0, expected);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix)
        .map_err(|_| bad("expected a safetensors file, found less than 8 bytes".into()))?;
    let header_length = u64::from_le_bytes(prefix);
    if header_length > HEADER_BYTES_MAX || header_length > length - 8 {
        return Err(bad(
            "expected a safetensors header, found something else or cut short".into(),
        ));
    }
    let mut header = vec![0; header_length as usize];
    file.read_exact(&mut header).map_err(unreadable)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| bad(format!("expected a safetensors header: {error}")))?;
    let expected = 8 + header_length + metadata.data_len() as u64;
    if expected != length {
        return Err(bad(format!(
            "expected {expected} bytes, found {length}; the file is cut short"
        )));
    }
    Ok((file, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Tensor> {
        vec![
            Tensor::new("word_topic", &[2, 3], &[1i32, -2, 3, 4, 5, i32::MIN]),
            Tensor::new("alpha", &[2], &[0.1f64, f64::MIN_POSITIVE]),
            Tensor::new("empty", &[0, 7], &[] as &[f32]),
            Tensor::new("ids", &[1], &[u64::MAX]),
        ]
    }

    fn written(tensors: &[Tensor]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_tensors(&mut bytes, tensors).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Tensor>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, bytes).unwrap();
        read_tensors(&path)
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut tensors = read(&written(&sample())).unwrap();
        for tensor in sample() {
            assert_eq!(take(&mut tensors, &tensor.name).unwrap(), tensor);
        }
        assert!(tensors.is_empty());
        assert_eq!(take(&mut tensors, "alpha").unwrap_err().status(), 65);
    }

    #[test]
    fn the_reference_reader_agrees() {
        let bytes = written(&sample());
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let alpha = read.tensor("alpha").unwrap();
        assert_eq!((alpha.dtype(), alpha.shape()), (Dtype::F64, &[2][..]));
        assert_eq!(alpha.data()[..8], 0.1f64.to_le_bytes());
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn equal_tensors_give_equal_files_in_any_order() {
        let mut reversed = sample();
        reversed.reverse();
        assert_eq!(written(&sample()), written(&reversed));
    }

    #[test]
    fn values_come_back_typed() {
        let tensor = &sample()[0];
        assert_eq!(tensor.values::<i32>().unwrap(), [1, -2, 3, 4, 5, i32::MIN]);
        assert_eq!(tensor.values::<f32>().unwrap_err().status(), 65);
        assert_eq!(tensor.len(), 6);
    }

    #[test]
    fn two_tensors_of_one_name_are_refused() {
        let twice = [sample().remove(0), sample().remove(0)];
        assert!(write_tensors(&mut Vec::new(), &twice).is_err());
    }

    #[test]
    fn every_cut_and_every_flipped_data_byte_is_noticed() {
        let bytes = written(&sample());
        for end in 0..bytes.len() {
            assert_eq!(
                read(&bytes[..end]).unwrap_err().status(),
                65,
                "cut at {end}"
            );
        }
        let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for place in data..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            assert_eq!(
                read(&flipped).unwrap_err().status(),
                65,
                "flipped at {place}"
            );
        }
    }

    #[test]
    fn a_lying_header_is_an_error_and_not_an_allocation() {
        for header in [
            &b"{\"a\":{\"dtype\":\"F64\",\"shape\":[9999999999999],\"data_offsets\":[0,79999999999992]}}"[..],
            b"{\"a\":{\"dtype\":\"F64\",\"shape\":[18446744073709551615,2],\"data_offsets\":[0,0]}}",
            b"{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,0]}}",
            b"not json",
        ] {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header);
            assert_eq!(read(&bytes).unwrap_err().status(), 65);
        }
        assert_eq!(read(&u64::MAX.to_le_bytes()).unwrap_err().status(), 65);
        assert_eq!(
            read_tensors(Path::new("/nowhere/x")).unwrap_err().status(),
            66
        );
    }
}
