//! Files in: mapped, split by byte range at record boundaries, one file per format, and the binary cache.
