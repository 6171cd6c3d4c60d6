// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Where a run stands between two of its fresh machines. A machine is the unit: each has an order of its own by the seed, so that a run which
/// goes on here equals one that was never stopped.
/// </summary>
/// <param name="saved">What was measured until then; of the points, all but their rounds, which stay where they are until <see cref="Save"/>.</param>
internal sealed class Checkpoint(ResumeModel saved)
{
    private const int RoundBytes = 20;
    private static readonly ResumeCommand unknown = new(false, null, false, false); // until it is saved

    /// <summary>Before the first machine.</summary>
    public static Checkpoint Nothing { get; } = new(new ResumeModel
    {
        Machines = 0, Seal = "", Order = "", ElapsedNs = 0, Command = unknown, Runtime = new RuntimeModel(0, 0, 0, 0, ""), Points = [], Books = [],
    });

    /// <summary>Machines measured to their end.</summary>
    public int Machines => saved.Machines;

    /// <summary>Time spent on them.</summary>
    public TimeSpan Elapsed => TimeSpan.FromMilliseconds(saved.ElapsedNs / 1e6);

    /// <summary>After so many machines.</summary>
    public static Checkpoint Of(int machines, IReadOnlyList<Point> points, Runner runner, IReadOnlyDictionary<(string Mem, string Model), Books> books, long migrations,
        TimeSpan elapsed) => new(new ResumeModel
    {
        Machines = machines,
        Seal = "",
        Order = ResultBuilder.OrderOf(runner),
        ElapsedNs = (long)(elapsed.TotalMilliseconds * 1e6),
        Command = unknown,
        Runtime = new RuntimeModel(runner.Delta.ManagedBytes, runner.Delta.Collections, runner.Delta.CompiledMethods, migrations, runner.WarmupEnded),
        Points = [.. points.Select(p => p.Save())],
        Books = [.. books.Select(b => new BooksState(b.Key.Mem, b.Key.Model, b.Value.Before, b.Value.DyingGroups, b.Value.Wrong, b.Value.Locks))],
    });

    /// <summary>For the result file.</summary>
    public ResumeModel Save(IReadOnlyList<Point> points, Scenario scenario)
    {
        int rounds = scenario.Schedule.FirstRepOf(Machines) * scenario.Schedule.RoundsPerRep;
        return saved with
        {
            Command = new ResumeCommand(scenario.Twin, scenario.Preset?.Name, scenario.ProbesLines, scenario.ProbesPrefetch),
            Points = [.. saved.Points.Select((p, i) => p with { Rounds = Pack(points[i], rounds) })],
        };
    }

    /// <summary>Puts everything back, of so many repetitions; returns the migrations seen.</summary>
    public long Restore(IReadOnlyList<Point> points, Runner runner, IDictionary<(string Mem, string Model), Books> books, int repsDone)
    {
        if (Machines == 0) return 0;
        for (int i = 0; i < points.Count; i++)
        {
            points[i].Load(saved.Points[i]);
            Unpack(saved.Points[i].Rounds, points[i]);
        }
        foreach (BooksState b in saved.Books) books[(b.Mem, b.Model)] = new Books(b.Balance, b.Dying, b.Wrong) { Locks = b.Locks };
        RuntimeModel r = saved.Runtime;
        runner.Continue(repsDone, r.Warmup, new RuntimeDelta(r.ManagedBytes, r.Collections, r.CompiledMethods), ulong.Parse(saved.Order, NumberStyles.HexNumber, null));
        return r.Migrations;
    }

    private static byte[] Pack(Point p, int rounds)
    {
        var all = new byte[rounds * RoundBytes];
        for (int i = 0; i < rounds; i++)
        {
            Span<byte> one = all.AsSpan(i * RoundBytes, RoundBytes);
            BinaryPrimitives.WriteDoubleLittleEndian(one, p.Throughput[i]);
            BinaryPrimitives.WriteSingleLittleEndian(one[8..], p.CanaryNs[i]);
            one[12] = (byte)((p.Clean[i] ? 1 : 0) | (p.Whole[i] ? 2 : 0));
            BinaryPrimitives.WriteInt32LittleEndian(one[16..], p.Dying[i]);
        }
        return all;
    }

    private static void Unpack(byte[] all, Point p)
    {
        p.Rounds = all.Length / RoundBytes;
        for (int i = 0; i < p.Rounds; i++)
        {
            ReadOnlySpan<byte> one = all.AsSpan(i * RoundBytes, RoundBytes);
            p.Throughput[i] = BinaryPrimitives.ReadDoubleLittleEndian(one);
            p.CanaryNs[i] = BinaryPrimitives.ReadSingleLittleEndian(one[8..]);
            (p.Clean[i], p.Whole[i]) = ((one[12] & 1) != 0, (one[12] & 2) != 0);
            p.Dying[i] = BinaryPrimitives.ReadInt32LittleEndian(one[16..]);
        }
    }
}
