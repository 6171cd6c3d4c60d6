// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What two CPUs pay for atomic adds to words a distance apart, and whether layouts may be ranked on this machine.</summary>
/// <param name="Contrast">Nearest distance over farthest, median of rounds.</param>
internal sealed record LineProbeModel(int? CpuA, int? CpuB, IReadOnlyList<DistanceModel> Distances, double? Contrast, IReadOnlyList<double>? Ci95, bool LayoutsMayBeRanked,
    string Verdict);

internal sealed record DistanceModel(int DistanceBytes, double? NsPerAdd, IReadOnlyList<double>? Ci95, int Rounds);

/// <summary>`matrix`: latency of a line, in ns per move of the line (cells) and per touch of one that lies in memory (cold).</summary>
/// <param name="Kind">cpu: rows and columns are CPUs; node: rows are writer nodes, columns home nodes.</param>
/// <param name="Reason">What cannot be seen here, or null.</param>
internal sealed record MatrixModel(string Kind, string Line, string What, IReadOnlyList<int> Rows, IReadOnlyList<int> Columns, IReadOnlyList<CellModel> Cells,
    IReadOnlyList<CellModel>? Cold, string? Reason);

internal sealed record CellModel(int Row, int Column, double? Ns, IReadOnlyList<double>? Ci95, int Samples, string? Reason);

/// <summary>`matrix` as JSON; `report` takes it beside result files.</summary>
internal sealed record MatrixReport(string Started, TopologyModel Host, IReadOnlyList<WarningModel> Warnings, IReadOnlyList<MatrixModel> Matrices, LineProbeModel? LineProbe);
