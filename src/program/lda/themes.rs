//! The words of the built-in sample: eight walks of life, and what all of them talk about.

/// A planted topic: its name and its words, the most frequent first.
pub(super) type Theme = (&'static str, &'static str);

/// Words that documents of all themes use, the most frequent first.
pub(super) const COMMON: &str = "time day people year good way work long place hand part week point \
    side great end home world start life night turn small right hour change line help keep open \
    state young second group early number large next often always today";

/// The planted topics.
pub(super) const THEMES: [Theme; 8] = [
    (
        "cooking",
        "oven garlic butter flour onion sauce pan recipe salt pepper dough sugar olive simmer \
         boil bake roast chop stir lemon cream tomato cheese basil chicken broth whisk kitchen \
         yeast vinegar parsley spice cinnamon dish ginger knife bowl taste fry soup pastry egg \
         rice noodle bread crust dessert vanilla thyme mustard cumin skillet grill marinade \
         rosemary potato carrot celery stew honey chef ladle",
    ),
    (
        "football",
        "goal match league striker midfield defender keeper penalty referee coach pass kick \
         header team season derby stadium cup transfer dribble tackle corner offside foul injury \
         captain squad fixture supporter promotion relegation final pitch whistle lineup \
         substitute winger cross volley equaliser bench champion trophy tournament friendly \
         scorer possession counterattack formation crowd jersey boots goalpost kickoff halftime \
         manager signing academy rival shootout",
    ),
    (
        "astronomy",
        "star galaxy telescope planet orbit comet nebula supernova moon solar cosmic redshift \
         asteroid spectrum gravity light eclipse crater observatory dwarf binary pulsar quasar \
         constellation mass hydrogen helium radiation luminosity dust universe expansion mirror \
         satellite rocket probe meteor ring exoplanet transit parallax magnitude sky astronomer \
         jupiter saturn mars venus mercury neptune corona sunspot cluster horizon wavelength \
         infrared photon zenith aurora",
    ),
    (
        "medicine",
        "patient doctor hospital treatment symptom disease surgery drug dose blood infection \
         diagnosis nurse clinic therapy heart cancer vaccine virus fever pain lung kidney liver \
         tissue tumor antibiotic immune chronic acute trial placebo prescription artery pressure \
         insulin diabetes asthma stroke bone fracture biopsy scan ward physician allergy anemia \
         bacteria hormone wound bandage cough rash nausea surgeon anesthesia recovery relapse \
         screening cell",
    ),
    (
        "gardening",
        "soil seed plant garden compost prune bloom root leaf mulch flower shrub lawn weed rose \
         tulip bulb hedge greenhouse fertilizer spade trowel water harvest vegetable seedling \
         perennial annual sprout pollen bee petal stem branch blossom orchard apple pear fern \
         moss ivy lavender dahlia daisy peony clay drainage frost shade sun aphid slug rake hoe \
         wheelbarrow trellis graft cutting nursery humus watering",
    ),
    (
        "music",
        "melody chord guitar piano violin rhythm orchestra concert song album drum bass singer \
         composer symphony harmony tempo note scale key tune jazz opera choir cello flute trumpet \
         sonata quartet conductor rehearsal lyric verse chorus bridge band stage studio record \
         microphone tenor soprano alto baritone overture concerto prelude fugue waltz blues folk \
         improvise octave string bow reed organ encore audience applause",
    ),
    (
        "law",
        "court judge lawyer jury trial verdict appeal witness evidence plaintiff defendant \
         contract statute sentence prosecutor attorney hearing clause liability damages lawsuit \
         ruling testimony oath bail warrant felony fraud theft guilty innocent settlement \
         precedent constitution amendment jurisdiction tribunal counsel petition injunction \
         custody divorce estate probate trust deed tenant landlord patent copyright trademark \
         negligence breach tort arbitration mediation affidavit subpoena parole docket",
    ),
    (
        "sailing",
        "sail wind mast anchor harbor deck hull keel rudder crew skipper boat yacht tide wave \
         knot rope jib spinnaker boom helm tack jibe port starboard bow stern compass chart \
         navigation buoy lighthouse regatta cabin galley bilge mooring dock marina storm gale \
         breeze swell current reef shore island ocean sea voyage ferry dinghy catamaran cleat \
         winch shackle halyard lifejacket ballast fathom",
    ),
];
