// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

// The nested irq role: an agent that runs to completion on top of its CPU. It takes the CPU word as one takes a lock; every step of the
// thread outside an irq-off section waits for that word to be free, and an irq-off section holds it.
internal static unsafe partial class Run
{
    private const long Open = 0, InIrq = 1, IrqsOff = 2;

    public static void IrqOff(int site)
    {
        if (Current < 0) return;
        CheckAlive();
        if (HasIrq && Mutations.Hits(site, MutationOp.DropIrqOff))
        {
            irqDropped[Current]++;
            return;
        }
        if (irqDepth[Current]++ == 0 && HasIrq && Current < Cpus) Step(CpuWordOp(OpKind.Take, Open, IrqsOff, site));
    }

    public static void IrqOn(int site)
    {
        if (Current < 0) return;
        CheckAlive();
        if (irqDropped[Current] > 0)
        {
            irqDropped[Current]--; // the nesting of a mutant: whichever section ends first
            return;
        }
        if (irqDepth[Current] == 0) Fail(Verdict.Assert, $"CPU{CurrentCpu} switches irqs on that were not off", site);
        if (--irqDepth[Current] == 0 && HasIrq && Current < Cpus) Step(CpuWordOp(OpKind.Give, 0, Open, site));
    }

    /// <summary>An agent's whole life, on its own stack.</summary>
    public static void Body(int agent)
    {
        if (agent < Cpus) Explorer.Case.CallBody(agent);
        else
        {
            for (int i = 0; i < Explorer.Case.Interrupts; i++)
            {
                Step(CpuWordOp(OpKind.Take, Open, InIrq, 0));
                Explorer.Case.CallIrq(agent - Cpus);
                Accesses.FlushDelayed();
                Step(CpuWordOp(OpKind.Give, 0, Open, 0));
            }
        }
        Accesses.FlushDelayed();
        if (irqDepth[agent] != 0) Fail(Verdict.Assert, $"{AgentName(agent)} ends with irqs off", 0);
    }

    /// <summary>An agent of an execution that is over must not touch the next one's state while its stack unwinds.</summary>
    public static void CheckAlive()
    {
        if (Stopping) Abandon(Current);
    }

    private static Op CpuWordOp(OpKind kind, long want, long becomes, int site)
    {
        int word = Arena.CpuWord(CurrentCpu);
        return new Op { Kind = kind, Size = 4, Offset = word, Location = Locations.Of(word, 4), A = want, B = becomes, Site = site };
    }
}
