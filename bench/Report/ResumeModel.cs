// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text.Json;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// What an interrupted run goes on from: the fresh machines (--machines) that were measured to their end. The one it was stopped in counts
/// in the result beside this and is measured again.
/// </summary>
internal sealed record ResumeModel
{
    /// <summary>Machines measured to their end.</summary>
    public required int Machines { get; init; }
    /// <summary>FNV-1a (64 bits) of this file's content with an empty seal: a file that was edited or damaged is not continued.</summary>
    public required string Seal { get; init; }
    /// <summary>As the result's, of these machines.</summary>
    public required string Order { get; init; }
    /// <summary>Time spent on them.</summary>
    public required long ElapsedNs { get; init; }
    /// <summary>What of the command the scenario does not tell.</summary>
    public required ResumeCommand Command { get; init; }
    public required RuntimeModel Runtime { get; init; }
    /// <summary>In the order of measuring: twins have points of their own here.</summary>
    public required IReadOnlyList<PointState> Points { get; init; }
    public required IReadOnlyList<BooksState> Books { get; init; }
}

internal sealed record ResumeCommand(bool Twin, string? Preset, bool ProbesLines, bool ProbesPrefetch);

/// <summary>One point over the machines measured to their end; ticks are the clock's own.</summary>
internal sealed record PointState
{
    public required string Workload { get; init; }
    public required long BlockOps { get; init; }
    public required bool TimesSingles { get; init; }
    public required double CalibratedNs { get; init; }
    /// <summary>20 bytes a round, little-endian: operations per second (f64), canary ns (f32), clean bit 0, whole bit 1 (u8), 3 of padding, dying groups (i32).</summary>
    public required byte[] Rounds { get; init; }
    /// <summary>Pairs of value and count.</summary>
    public required IReadOnlyList<long[]> LatencyTicks { get; init; }
    /// <summary>The same of rounds that kept their CPUs and found them slow; none in a file of before 1.8.</summary>
    public IReadOnlyList<long[]> LatencyBesideTicks { get; init; } = [];
    public required IReadOnlyList<ThreadState> Threads { get; init; }
    public required IReadOnlyList<CountState> Counters { get; init; }
    /// <summary>A CPU that was lost, and where its thread was found.</summary>
    public required IReadOnlyList<int>? Stray { get; init; }
}

internal sealed record ThreadState(long Done, long Failed, long Ticks, ThreadUsage Usage);

internal sealed record CountState(string Name, double? PerOp, string? Reason);

/// <summary>The books of one placement and one model.</summary>
internal sealed record BooksState(string Mem, string Model, Balance Balance, DyingModel Dying, IReadOnlyList<string> Wrong, IReadOnlyList<LruLockTotals> Locks);

internal static class Seals
{
    /// <summary>The same with its seal.</summary>
    public static Result Sealed(this Result result) => result with { Resume = result.Resume! with { Seal = SealOf(result) } };

    /// <summary>Is it as it was written?</summary>
    public static bool IsWhole(this Result result) => result.Resume!.Seal == SealOf(result);

    // Against accidents, not against intent; SHA-256 would want OpenSSL, which an emulated machine lacks.
    private static string SealOf(Result result)
    {
        ulong hash = Runner.HashBegin;
        foreach (byte b in JsonSerializer.SerializeToUtf8Bytes(result with { Resume = result.Resume! with { Seal = "" } }, ResultJson.Default.Result))
            hash = (hash ^ b) * Runner.HashPrime;
        return hash.ToString("x16", CultureInfo.InvariantCulture);
    }
}
