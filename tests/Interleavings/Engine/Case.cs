// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// One protocol in one shape: who runs what from which state, and what must hold at the end. Implemented by empty structs; state that
/// changes lives in the arena (statics hold pointers into it), because an execution is undone by putting the arena back.
/// </summary>
internal interface ICase
{
    /// <summary>CPUs that run <see cref="Body"/>.</summary>
    static abstract int Cpus { get; }

    /// <summary>Builds the initial state from Arena.New; runs once per exploration, on no CPU.</summary>
    static abstract void Setup();

    /// <summary>What a CPU does. No managed object may be held across an access.</summary>
    static abstract void Body(int cpu);

    /// <summary>What must hold when every CPU is done; throws through Bug.Fail.</summary>
    static virtual void Final() { }

    /// <summary>What one interrupt does; it may come at any marked access outside an irq-off section.</summary>
    static virtual void Irq(int cpu) { }

    /// <summary>Interrupts each CPU gets.</summary>
    static virtual int Interrupts => 0;

    /// <summary>Plain accesses are steps too, so that an interrupt may come between two of them; they are not checked for races then.</summary>
    static virtual bool PlainIsMarked => false;

    /// <summary>Locks run as the code they are, not as one blocking step.</summary>
    static virtual bool LocksAsCode => false;

    /// <summary>What is allocated in an execution must be freed in it.</summary>
    static virtual bool ChecksLeaks => false;

    /// <summary>What is read must have been written.</summary>
    static virtual bool ChecksUninitialised => false;
}

/// <summary>What a case must end in.</summary>
internal enum Expect
{
    /// <summary>Every schedule is fine, under SC and under TSO.</summary>
    Exhausted,
    /// <summary>A schedule breaks it.</summary>
    Broken,
    /// <summary>Only a store buffer breaks it.</summary>
    BrokenUnderTso,
}

/// <summary>A case of the registry.</summary>
internal sealed unsafe class Case
{
    private readonly delegate*<void> setup, final;
    private readonly delegate*<int, void> body, irq;

    private Case(string id, string design, string shape, Expect expect, delegate*<void> setup, delegate*<int, void> body, delegate*<void> final, delegate*<int, void> irq)
    {
        (Id, Design, Shape, Expect) = (id, design, shape, expect);
        this.setup = setup;
        this.body = body;
        this.final = final;
        this.irq = irq;
    }

    /// <summary>The race it reproduces (B1), or the protocol it explores.</summary>
    public string Id { get; }
    /// <summary>
    /// The design, comma-separated; words that are answers of an axis, as Eras spells them, are what -M selects by. "" when there is only one.
    /// </summary>
    public string Design { get; }
    /// <summary>Who takes part: 1s2c.</summary>
    public string Shape { get; }
    public Expect Expect { get; }
    /// <summary>Takes more than a second: explore --all runs it, the test suite does not.</summary>
    public bool Heavy { get; private init; }
    /// <summary>The axes that a stand-in answers, with its name; "" when every answer ships.</summary>
    public string Nulls { get; private init; } = "";
    /// <summary>How the verdict is to be read: a hypothesis refuted, behaviour that is accepted.</summary>
    public string Note { get; private init; } = "";
    /// <summary>The scenario's type: its arguments are the designs it explores.</summary>
    public Type Scenario { get; private init; } = typeof(void);
    public int Cpus { get; private init; }
    public int Interrupts { get; private init; }
    public bool LocksAsCode { get; private init; }
    public bool PlainIsMarked { get; private init; }
    public bool ChecksLeaks { get; private init; }
    public bool ChecksUninitialised { get; private init; }

    /// <summary>The defect of a twin that is the shipped code with one access mutated: its site and what is done to it.</summary>
    public (string Site, MutationOp Op)? Mutation { get; private set; }

    /// <summary>The search begins with the last CPU: a depth-first search finds first what lies near its first execution.</summary>
    public bool LastCpuFirst { get; private set; }

    /// <summary>The same case, searched from the other end.</summary>
    public Case FromLastCpu()
    {
        LastCpuFirst = true;
        return this;
    }

    /// <summary>The same case with one access of the shipped code mutated; site as SURVIVORS.md spells it: Type.Member#n.</summary>
    public Case Mutated(string site, MutationOp op)
    {
        Mutation = (site, op);
        return this;
    }

    /// <summary>Unique in the registry.</summary>
    public string Name => string.Join('/', new[] { Id, Design, Shape }.Where(s => s.Length > 0));

    public override string ToString() => Name;

    /// <summary>What the verdict must be under a memory model.</summary>
    public bool MustFail(MemoryModel memory) => Expect == Expect.Broken || (Expect == Expect.BrokenUnderTso && memory == MemoryModel.TSO);

    public static Case Of<T>(string id, string design = "", string shape = "", Expect expect = Expect.Exhausted, bool heavy = false, string nulls = "", string note = "")
        where T : struct, ICase =>
        new(id, design, shape, expect, &Thunks<T>.Setup, &Thunks<T>.Body, &Thunks<T>.Final, &Thunks<T>.Irq)
        {
            Nulls = nulls, Note = note, Scenario = typeof(T), Heavy = heavy, Cpus = T.Cpus, Interrupts = T.Interrupts, LocksAsCode = T.LocksAsCode,
                PlainIsMarked = T.PlainIsMarked, ChecksLeaks = T.ChecksLeaks, ChecksUninitialised = T.ChecksUninitialised,
        };

    public void CallSetup() => setup();
    public void CallBody(int cpu) => body(cpu);
    public void CallFinal() => final();
    public void CallIrq(int cpu) => irq(cpu);

    /// <summary>Function pointers, so that no object is live on an agent's stack.</summary>
    private static class Thunks<T> where T : struct, ICase
    {
        public static void Setup() => T.Setup();
        public static void Body(int cpu) => T.Body(cpu);
        public static void Final() => T.Final();
        public static void Irq(int cpu) => T.Irq(cpu);
    }
}
