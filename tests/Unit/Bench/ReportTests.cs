// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Reports are looked at: as text for what they must not hold, by a browser for what it makes of them, with the network off.</summary>
public sealed class ReportTests
{
    private static readonly Lazy<string> small = new(() => HtmlReport.Text(MadeUpResult.On("pack:1 core:2 pu:1", "3.17", "3.19")));
    private static readonly Lazy<string> large = new(() => HtmlReport.Text(MadeUpResult.On("eight-nodes-256-cpus", "3.17", "3.19", "6.18")));

    [Fact]
    public void A_report_refers_to_nothing_outside_and_is_under_a_megabyte_without_its_data()
    {
        string page = Regex.Replace(small.Value, "<script type=\"application/json\" id=\"result\">.*?</script>", "", RegexOptions.Singleline);
        Assert.InRange(page.Length, 100_000, 1_000_000);
        string markup = Regex.Replace(Regex.Replace(page, "<script>.*?</script>", "", RegexOptions.Singleline), "<!--.*?-->", "", RegexOptions.Singleline);
        Assert.DoesNotMatch(@"\b(src|href)\s*=\s*""(?!#)", markup);
        Assert.DoesNotMatch(@"url\(|@import|<link|<iframe|<img", markup);
        Assert.DoesNotMatch(@"\b(fetch|XMLHttpRequest|WebSocket|importScripts)\s*\(", HtmlReport.Part("report.js"));
        Assert.Contains("default-src 'none'", markup, StringComparison.Ordinal); // a browser refuses what all of this should have missed
    }

    [Fact]
    public void A_report_is_well_formed_and_reads_without_script()
    {
        string markup = Regex.Replace(Regex.Replace(large.Value, "<script.*?</script>|<style>.*?</style>|<!--.*?-->", "", RegexOptions.Singleline), "<!DOCTYPE html>", "");
        markup = Regex.Replace(markup, "<(meta)([^>]*)>", "<$1$2/>");
        XElement html = XElement.Parse(markup); // stricter than HTML asks: every element closed, every attribute quoted
        string[] ids = [.. html.Descendants().Attributes("id").Select(a => a.Value)];
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.All(html.Descendants("a").Attributes("href"), h => Assert.Contains(h.Value[1..], ids));
        Assert.All(html.Descendants("table"), t => Assert.True(t.Elements("caption").Any() && t.Descendants("th").All(h => h.Attribute("scope") is not null)));
        Assert.Contains("fault", html.Descendants("td").First().Value, StringComparison.Ordinal);
        Assert.Contains("Synthetic: nobody measured this", html.Value, StringComparison.Ordinal);
        Assert.Equal("made-up", html.Element("body")!.Attribute("class")!.Value);
    }

    [Fact]
    public void What_a_report_holds_is_the_result_it_was_made_from()
    {
        string folder = Directory.CreateTempSubdirectory("memcgnative-").FullName;
        try
        {
            Result result = MadeUpResult.On("pack:1 core:2 pu:1", "3.19");
            string json = Path.Combine(folder, "a.json"), html = Path.Combine(folder, "a.html"), text = JsonSerializer.Serialize(result, ResultJson.Default.Result);
            File.WriteAllText(json, text + "\n");
            Assert.Equal(0, CliBox.Run("report", json).Code);
            CliBox.Answer extracted = CliBox.Run("report", "--extract", html);
            Assert.Equal((0, ""), (extracted.Code, extracted.Error));
            Assert.Equal(JsonDocument.Parse(text).RootElement.ToString(), JsonDocument.Parse(extracted.Out).RootElement.ToString());
            Assert.Contains("same (within 2 %)", CliBox.Run("compare", json, html).Out, StringComparison.Ordinal);
            CliBox.Answer plan = CliBox.Run("pack:1 core:2 pu:1", CliBox.Split($"run --from {html} --dry-run --reps 3"));
            Assert.Equal((0, ""), (plan.Code, plan.Error));
            Assert.Matches(@"2 points x 3 reps x 100 ?ms", plan.Out);
            Assert.Equal(2, CliBox.Run("report", json, "-o", json).Code);
            Assert.Equal(2, CliBox.Run("report", json, html).Code); // a second result
            foreach (string format in (string[])["md", "csv", "hgrm", "will-it-scale", "lkp"])
            {
                CliBox.Answer answer = CliBox.Run("report", json, "--format", format);
                Assert.Equal((0, ""), (answer.Code, answer.Error));
                Assert.DoesNotContain("NaN", answer.Out, StringComparison.Ordinal);
            }
            Assert.Contains("tasks,processes,processes_idle,threads,threads_idle,linear\n0,0,100,0,100,0\n1,", CliBox.Run("report", json, "--format", "will-it-scale").Out,
                StringComparison.Ordinal);
            Assert.Matches(@"(?m)^ +\d+\.\d{3} 1\.0{12} +\d+\n#\[Mean ", CliBox.Run("report", json, "--format", "hgrm").Out);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A browser draws all charts, with the network off, and axe finds nothing to complain about; light and dark.</summary>
    [Theory]
    [InlineData("small", false)]
    [InlineData("small", true)]
    [InlineData("large", false)]
    public void A_browser_draws_every_chart_and_axe_has_no_complaint(string which, bool dark)
    {
        string? browser = ((string[])["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]).FirstOrDefault(File.Exists);
        if (browser is null) Assert.Skip("no chromium here (apt-get install chromium)");
        string folder = Path.Combine(Repository.Root, "artifacts", "reports");
        Directory.CreateDirectory(folder);
        string? axe = Axe(folder);
        string name = Path.Combine(folder, $"{which}{(dark ? "-dark" : "")}"), page = (which == "small" ? small : large).Value;
        string probe = "document.body.dataset.charts = [...document.querySelectorAll('figure[data-chart]')].filter(f => f.querySelector('svg, canvas'))"
            + ".map(f => f.dataset.chart).join(' ');"
            + (axe is null ? "document.body.dataset.axe = 'not here';" : "axe.run().then(r => document.body.dataset.axe = r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3)"
                + ".map(n => n.target + ' ' + n.any.map(a => a.message)).join('; ')).join(' | ') || 'none', e => document.body.dataset.axe = 'failed: ' + e);");
        File.WriteAllText(name + ".html", page);
        File.WriteAllText(name + ".probe.html", page.Replace("</body>",
            $"<script>{(axe is null ? "" : File.ReadAllText(axe).Replace("</script", "<\\/script", StringComparison.Ordinal))}</script>"
            + $"<script>{probe}</script></body>", StringComparison.Ordinal));
        string dom = Browse(browser!, dark, "--dump-dom", name + ".probe.html");
        Match charts = Regex.Match(dom, "data-charts=\"([^\"]*)\""), complaint = Regex.Match(dom, "data-axe=\"([^\"]*)\"");
        Assert.Equal("ratios scaling latency fairness locks zombies matrices probe placement", charts.Groups[1].Value);
        if (axe is null) Assert.Skip("the charts are drawn; axe-core is not here (npm), so that is all that was looked at");
        Assert.Equal("none", complaint.Groups[1].Value);
    }

    /// <summary>axe-core in one file: where MEMCGNATIVE_AXE points, or out of npm once into artifacts; null without either.</summary>
    private static string? Axe(string folder)
    {
        string kept = Environment.GetEnvironmentVariable("MEMCGNATIVE_AXE") ?? Path.Combine(folder, "node_modules", "axe-core", "axe.min.js");
        if (File.Exists(kept)) return kept;
        try
        {
            using Process? npm = Process.Start(new ProcessStartInfo("npm", $"install --silent --no-audit --no-fund --no-save --prefix \"{folder}\" axe-core@4.10.3")
            {
                RedirectStandardError = true, RedirectStandardOutput = true,
            });
            if (!npm!.WaitForExit(60_000)) npm.Kill();
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
        return File.Exists(kept) ? kept : null;
    }

    private static string Browse(string browser, bool dark, string what, string file)
    {
        string profile = Directory.CreateTempSubdirectory("memcgnative-browser-").FullName;
        try
        {
            // A host that no name resolves to: what would need the network fails, and the page must not care.
            string options = $"--headless --no-sandbox --disable-gpu --user-data-dir={profile} --host-resolver-rules=\"MAP * ~NOTFOUND\" "
                + "--virtual-time-budget=20000 --window-size=1280,4000 "
                + (dark ? "--blink-settings=preferredColorScheme=0 " : "--blink-settings=preferredColorScheme=1 ");
            using Process process = Process.Start(new ProcessStartInfo(browser, $"{options} {what} \"file://{file}\"") { RedirectStandardOutput = true,
                RedirectStandardError = true })!;
            process.ErrorDataReceived += static (_, _) => { };
            process.BeginErrorReadLine();
            string text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return text;
        }
        finally
        {
            Directory.Delete(profile, recursive: true);
        }
    }
}
