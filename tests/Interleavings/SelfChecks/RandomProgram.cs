// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One instruction of a random program.</summary>
internal enum Instruction : byte
{
    Load, Store, FetchAdd, Add, CompareExchange, Exchange, Fence, HeavyFence, Critical, Branch, AwaitUnheld, AwaitNotZero, AwaitEqual, TwoLocks, Half, TryLock, IrqOff,
}

/// <summary>
/// Random programs over four words, two locks and a word written in halves: what the reduction and the plain search are compared on. What
/// a CPU sees goes into its own row of the output, so that a lost interleaving is a lost final state.
/// </summary>
internal static unsafe class RandomProgram
{
    public const int MaxLength = 8;

    private struct Step { public Instruction Kind; public byte Variable, Value, Expected; }

    private static readonly Step* program = (Step*)NativeMemory.AllocZeroed(Limits.Cpus * MaxLength, (nuint)sizeof(Step));
    private static int length;
    private static AtomicInt* words;
    private static LockWord* locks;
    private static AtomicLong* wide;
    private static Guarded<int>* seen;

    /// <summary>Writes the program of a seed.</summary>
    public static void Generate(int seed, int cpus, int steps, int variables, IReadOnlyList<Instruction> instructions)
    {
        var random = new Random(seed);
        length = steps;
        for (int i = 0; i < cpus * MaxLength; i++)
        {
            program[i] = new Step
            {
                Kind = instructions[random.Next(instructions.Count)],
                Variable = (byte)random.Next(variables),
                Value = (byte)(1 + random.Next(3)),
                Expected = (byte)random.Next(2),
            };
        }
    }

    /// <summary>The program as text, one row per CPU.</summary>
    public static string Describe(int cpus) => string.Join(" | ", Enumerable.Range(0, cpus).Select(c => string.Join(' ', Enumerable.Range(0, length).Select(i =>
        Describe(program[c * MaxLength + i]))) + $" (irq {Describe(program[c * MaxLength + MaxLength - 1])})"));

    private static string Describe(Step s) => $"{s.Kind}(v{s.Variable},{s.Value},{s.Expected})";

    public static void Setup(int cpus)
    {
        words = Arena.Array<AtomicInt>(4, "v");
        locks = Arena.Array<LockWord>(2, "lock");
        wide = Arena.New<AtomicLong>("wide");
        seen = Arena.Array<Guarded<int>>(cpus * MaxLength * 2, "seen");
    }

    public static void Body(int cpu)
    {
        Guarded<int>* to = seen + cpu * MaxLength * 2;
        for (int i = 0; i < length; i++) to = Do(program + cpu * MaxLength + i, to);
    }

    /// <summary>An interrupt runs the first instruction of the row behind its CPU's.</summary>
    public static void Irq(int cpu) => Do(program + cpu * MaxLength + MaxLength - 1, seen + cpu * MaxLength * 2 + MaxLength * 2 - 2);

    private static Guarded<int>* Do(Step* s, Guarded<int>* to)
    {
        AtomicInt* word = words + s->Variable, other = words + (s->Variable + 1) % 4;
        switch (s->Kind)
        {
            case Instruction.Load: Saw(ref to, AtomicInt.Load(word)); break;
            case Instruction.Store: AtomicInt.Store(word, s->Value); break;
            case Instruction.FetchAdd: Saw(ref to, AtomicInt.AddReturn(word, s->Value)); break;
            case Instruction.Add: AtomicInt.Add(word, s->Value); break;
            case Instruction.CompareExchange: Saw(ref to, AtomicInt.CompareExchange(word, s->Value, s->Expected)); break;
            case Instruction.Exchange: Saw(ref to, AtomicInt.Exchange(word, s->Value)); break;
            case Instruction.Fence: Machine.Fence(); break;
            case Instruction.HeavyFence: Machine.HeavyFence(); break;
            case Instruction.Critical:
                LockModel.Acquire(locks);
                int x = AtomicInt.Load(word);
                AtomicInt.Store(word, x + 1);
                Saw(ref to, x);
                LockModel.Release(locks);
                break;
            case Instruction.Branch:
                if (AtomicInt.Load(word) != 0) Saw(ref to, AtomicInt.Load(other));
                else AtomicInt.Store(other, s->Value);
                break;
            case Instruction.AwaitUnheld:
                LockModel.WaitForHolder(locks);
                Saw(ref to, AtomicInt.Load(word));
                break;
            case Instruction.AwaitNotZero: Saw(ref to, AtomicInt.AwaitNot(word, 0)); break;
            case Instruction.AwaitEqual: AtomicInt.AwaitEqual(word, s->Value); break;
            case Instruction.TwoLocks:
                LockWord* first = locks + (s->Value & 1), second = locks + 1 - (s->Value & 1);
                LockModel.Acquire(first);
                LockModel.Acquire(second);
                Saw(ref to, AtomicInt.AddReturn(word, 1));
                LockModel.Release(second);
                LockModel.Release(first);
                break;
            case Instruction.Half:
                if ((s->Value & 1) != 0) AtomicInt.Store((AtomicInt*)wide + s->Expected, s->Value);
                else Saw(ref to, (int)(AtomicLong.Load(wide) % 1000003));
                break;
            case Instruction.TryLock:
                if (LockModel.TryAcquire(locks))
                {
                    Saw(ref to, AtomicInt.Load(word));
                    LockModel.Release(locks);
                }
                break;
            case Instruction.IrqOff:
                Machine.IrqOff();
                Saw(ref to, AtomicInt.Load(word));
                AtomicInt.Store(word, s->Value);
                Machine.IrqOn();
                break;
        }
        return to;
    }

    private static void Saw(ref Guarded<int>* to, int value)
    {
        fixed (Guarded<int>** p = &to) Guarded<int>.Set((*p)++, value + 1);
    }
}

/// <summary>The program of the moment as a case for two or three CPUs.</summary>
internal readonly struct RandomCase<TCpus, TInterrupts> : ICase where TCpus : struct, ISize where TInterrupts : struct, ISize
{
    public static int Cpus => TCpus.N;
    public static int Interrupts => TInterrupts.N;
    public static void Setup() => RandomProgram.Setup(TCpus.N);
    public static void Body(int cpu) => RandomProgram.Body(cpu);
    public static void Irq(int cpu) => RandomProgram.Irq(cpu);
}

internal readonly struct N0 : ISize { public static int N => 0; }
