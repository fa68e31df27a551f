// What the HDF5 sources share: reasons and places for messages, checked handles, open datasets.
// Fed by HDF5's own error stack; included by src/core/hdf5*.cpp alone. Callers hold Lock.
#pragma once

#include <hdf5.h>

#include <string>
#include <vector>

#include "bovila/core/error.h"
#include "bovila/core/hdf5.h"

namespace bovila::hdf5::internal {

/// HDF5's own words for the last failure: the outermost and the innermost entry of its stack.
std::string reason();
/// The file that `where` belongs to and `path` in it, for messages. Made before the call that may
/// fail: each HDF5 call clears the reason of the one before it.
std::string place(hid_t where, const std::string& path);
/// @throws ProgramError with `what` and HDF5's reason unless `id` is valid.
Handle checked(hid_t id, Handle::Closer close, const std::string& what);
void check(herr_t status, const std::string& what);
/// Failures of reading are the file's (damaged, cut short): @throws UserError.
void check_read(herr_t status, const std::string& what);

std::vector<hsize_t> shape_of(hid_t space);
/// @throws UserError when there is no dataset at `path`.
Handle open_dataset(hid_t where, const std::string& path);
/// Makes a contiguous dataset and the groups on its way.
Handle make_dataset(hid_t where, const std::string& path, hid_t type,
                    std::span<const int64_t> shape);
/// The type of a dataset of that element type, when Type knows it.
std::optional<Type> classify(hid_t type);

}  // namespace bovila::hdf5::internal
