// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>Explores random programs twice, with the reduction and without, and compares the sets of final states and blocked endings.</summary>
internal static class Differential
{
    /// <summary>A family of programs.</summary>
    public sealed record Family(string Name, Case Case, MemoryModel Memory, int Steps, int Variables, int Programs, Instruction[] Instructions);

    public sealed record Outcome(int Programs, int Disagreements, string First, long DfsExecutions, long DporExecutions);

    private static readonly Instruction[] common =
    [
        Instruction.Load, Instruction.Load, Instruction.Store, Instruction.Store, Instruction.FetchAdd, Instruction.Add, Instruction.CompareExchange, Instruction.Exchange,
    ];

    private static readonly Instruction[] blocking =
    [
        .. common, Instruction.Critical, Instruction.Branch, Instruction.AwaitUnheld, Instruction.AwaitNotZero, Instruction.AwaitEqual, Instruction.TwoLocks, Instruction.Half,
            Instruction.TryLock,
    ];

    private static readonly Instruction[] adds = [Instruction.Add, Instruction.Add, Instruction.AwaitEqual, Instruction.AwaitNotZero, Instruction.Load, Instruction.Store];

    public static IReadOnlyList<Family> Families { get; } =
    [
        new("2x4 sc", Case.Of<RandomCase<N2, N0>>("random"), MemoryModel.SC, 4, 2, 800, blocking),
        new("3x2 sc", Case.Of<RandomCase<N3, N0>>("random"), MemoryModel.SC, 2, 2, 500, blocking),
        new("2x3 tso", Case.Of<RandomCase<N2, N0>>("random"), MemoryModel.TSO, 3, 2, 500, [.. blocking, Instruction.Fence, Instruction.HeavyFence]),
        new("2x3 adds tso", Case.Of<RandomCase<N2, N0>>("random"), MemoryModel.TSO, 3, 1, 200, adds),
        new("3x2 adds sc", Case.Of<RandomCase<N3, N0>>("random"), MemoryModel.SC, 2, 1, 200, adds),
        new("2x2 irq sc", Case.Of<RandomCase<N2, N1>>("random"), MemoryModel.SC, 2, 2, 30, [.. common, Instruction.IrqOff, Instruction.Critical, Instruction.AwaitNotZero]),
        new("1x4 irq tso", Case.Of<RandomCase<N1, N1>>("random"), MemoryModel.TSO, 4, 2, 200, [.. common, Instruction.IrqOff, Instruction.Fence]),
        new("1x3 2 irq tso", Case.Of<RandomCase<N1, N2>>("random"), MemoryModel.TSO, 3, 2, 100, [.. common, Instruction.IrqOff, Instruction.Fence]),
        new("2x1 irq tso", Case.Of<RandomCase<N2, N1>>("random"), MemoryModel.TSO, 1, 2, 40, [.. common, Instruction.IrqOff, Instruction.Fence]),
    ];

    /// <summary>Compares; with a defect, stops at the first disagreement (the defect is found).</summary>
    public static Outcome Compare(Family f, EngineDefect defect = EngineDefect.None, int firstSeed = 1)
    {
        int disagreements = 0, programs = 0;
        string first = "";
        long dfs = 0, dpor = 0;
        var all = new HashSet<ulong>();
        var reduced = new HashSet<ulong>();
        for (int seed = firstSeed; seed < firstSeed + f.Programs; seed++)
        {
            RandomProgram.Generate(seed, f.Case.Cpus, f.Steps, f.Variables, f.Instructions);
            programs++;
            dfs += Run(f, Search.Dfs, EngineDefect.None, all);
            dpor += Run(f, Search.Dpor, defect, reduced);
            if (all.SetEquals(reduced)) continue;
            if (disagreements++ == 0) first = $"{f.Name} seed {seed}: {all.Count} final states by plain search, {reduced.Count} with the reduction: "
                + $"{RandomProgram.Describe(f.Case.Cpus)}";
            if (defect != EngineDefect.None) break;
        }
        return new Outcome(programs, disagreements, first, dfs, dpor);
    }

    private static long Run(Family f, Search search, EngineDefect defect, HashSet<ulong> states)
    {
        states.Clear();
        ExploreResult r = Explorer.Explore(f.Case, new ExploreOptions { Search = search, Memory = f.Memory, RaceCheck = false, FinalStates = states, Defect = defect });
        if (r.Failed) throw new InvalidOperationException($"{f.Name}: {r.Verdict} {r.Message}");
        return r.Executions;
    }
}
