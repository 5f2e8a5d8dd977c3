"""What people are called for short, or in a neighbour's language: English, Dutch, German, French, Spanish.

One line a name: the full form, then the others; an indented line goes on. A short form may
stand on several lines: Chris is Christina or Christopher, who are two people. Names that many carry as their
full name are left out where siblings might carry both.
"""

from __future__ import annotations

_TABLE = """
abigail abby abbie gail
abraham abe bram
adelaide addie
adrian adriaan ad adrien
agnes agnès aggie
albert al bert bertus
alexander alex sandy alec lex xander sascha alejandro alexandre sander
alexandra alex sandra sascha lexi alejandra
alfred al fred alf
alice ally alicia
allison allie alison
amanda mandy
andrea andi
andrew andy drew andreas andré andre andries andrés dries
angela angie angel
ann anna anne annie annika anneke anja ana
annelies annelie liesje
anthony tony anton antoine antonio toon ton toni
antonia toni tonia
arthur art artie
barbara barb babs barbie
bartholomew bart
beatrice bea trixie beatrix béatrice
benedict ben bennie benoît benedikt
benjamin ben benny benji benjie
bernadette bernie detta
bernard bernie bernd ben
bradley brad
bridget biddy britt brigitte birgit bridie
calvin cal
cameron cam
carol carrie
caroline carrie caro lien carolien carolina
catherine cathy kate katie cat
cecilia cissy celia cecile cilla
charles charlie chuck chas karel karl carlos carl chip
charlotte lottie charlie lotte char
christian chris kris christiaan
christina chris tina christine chrissy christa krista kristina kirsten stien
christopher chris kit topher christoph christophe stoffel
clara claire klara
claudia claudette
clifford cliff
constance connie
cornelia corrie nel nellie neeltje
cornelis kees cor cees cornelius
cynthia cindy
daniel dan danny daniël
danielle dani danny daniela
david dave davy
deborah deb debbie debra
dennis denny denis
diana di diane
dominic dom nick dominique domenico
donald don donny
dorothy dot dottie dolly dorothea thea doortje
douglas doug
edith edie
eduard ed edward eddy
edward ed eddie ted teddy ned eduardo édouard
edwin ed eddie
eleanor ellie nell nora elly lenore
elizabeth liz lizzie beth betty betsy eliza lisa elisabeth bess libby elsie els lies liesbeth bettina isabel
  elise elisa sisi
emily em emmy emilie emmie
emma em emmy
eric erik erich
erica erika ricky
ernest ernie ernst
esther essie hester
eugene gene
evelyn evie
florence flo florrie
frances fran fannie frankie franny
francis frank frans françois francisco paco pancho
franklin frank
frederick fred freddy freddie frederik friedrich fritz frits federico rick
gabriel gabe
gabriella gabby gabi gaby ella
geoffrey geoff jeff
george joris jorge georg jürgen sjors
georgina georgie gina georgia
gerald gerry jerry gerhard
gerard gerrit gerry ger gérard
gertrude trudy gertie truus gerda
giovanni gianni
gregory greg gregor grégoire
guillermo memo
gustav gus guus
gwendolyn gwen wendy
harold harry hal
harriet hattie harry
helen helena nell ellen lena leni hélène elena
hendrik henk rik hein hendrick
hendrika riek hennie rika
henry harry hank hal henri heinrich heinz enrique
herbert herb bert
hubert bert huub huib
hugh hugo huw
ignatius iggy ignacio nacho
irene rene irena
isaac ike zac
isabella bella izzy isabelle isabel isa
jacob jake jack jaap jakob kobus cobus coby
jacqueline jackie jacky
james jim jimmy jamie jem jaime
jane janie jenny janet jeannie
janet jan jannie
jason jay jace
jeffrey jeff
jennifer jen jenny jenn
jeremy jerry jem jeremiah
jeroen jerom
jerome jerry
jessica jess jessie
joan joanie jo
joanne jo joanna
johanna jo joke hanneke joanna hanna annie jopie
johannes jan johan hans joop hannes
john johnny jack jon jan juan jean giovanni johann
jonathan jon jonny nathan
joseph joe joey jo jozef josef jos josé pepe giuseppe sepp
josephine jo josie fien josefina pepita
joshua josh
judith judy jude
julia julie jules juliana
julian jules julien
justin jus
karen kari carin
katherine kathy kate katie kat kay kitty catherine katharina käthe catharina trijntje katrina
kathleen kathy kate katie kath
kenneth ken kenny
kimberly kim kimmy
lambert bert lammert
lawrence larry laurie laurent lorenz laurens lorenzo lars
leonard leo len lenny leon leonardo
leonora nora leonie
leopold leo poldi
leslie les
lewis lew louis
lillian lily lil lilian
linda lindy
lodewijk lode
lotte charlotte liselotte
louis lou louie luis ludwig lowie
louisa lou louise luisa
lucas luc luke luuk lukas
lucia lucy lucie
ludovic ludo
lukas luke luc
madeleine maddie madeline magda
magdalena magda lena leni
manuel manny manolo manu
marcus marc mark marco markus
margaret maggie meg peggy marge margie margo greta rita margot marguerite margarita margriet griet grietje
  gretchen gretel
maria mia ria mieke mary marie marijke marieke maaike mitzi marietje
martha marty mattie
martin marty maarten tin martijn martín
martina tina
mary molly polly may maria
mathilde tilly matilda thilde
matthew matt matty matthias mathieu mattheus thijs mathijs tijs matthijs
maurice maury moritz mo maurits
maximilian max maxim maxime
megan meg
melanie mel
melissa mel missy lissa
michael mike mick mickey michel michiel miguel giel mikey micha
michelle shelly
mildred millie
miranda mindy randy
miriam mimi mirjam
mitchell mitch
mohammed mo mohamed muhammad mohammad
nancy nan
natalie nat nathalie natasha
nathaniel nat nate nathan
nicholas nick nicky nico niek klaas nicolaas nicolas nikolaus claus colin klaus
nicole nicky nikki nic
norman norm
oliver ollie olivier
olivia liv livvy ollie
pamela pam
patricia pat patty trish tricia patrizia
patrick pat paddy patricio rick patrik
paul paulus pablo
paula pauline polly
peter pete piet pieter pierre pedro petrus peer
petronella nel ellen nelly petra
philip phil pip philippe flip felipe filip
phyllis phyl
quentin quint
rachel rae shelly rachelle
ralph ralf
randolph randy
raymond ray raimund
rebecca becky becca reba
regina gina reggie
reginald reg reggie
reinhard reini
reinier rein
richard rick dick rich ricky richie ricardo rik
robert bob rob bobby robbie bert roberto robin
roberta bobbie robbie berta
rodney rod
roger rog rutger
roland rolf roel
ronald ron ronnie ronny
rosemary rose rosie romy
roxanne roxy
rudolf rudi ruud rolf rudy dolf
russell russ
samantha sam sammie
samuel sam sammy
sandra sandy
sarah sara sally sadie
sebastiaan bas seb
sebastian seb bas bastian sébastien
sharon shari
sheila shay
simon si siem
sophia sophie sofia fieke
stanley stan
stephanie steph stefanie stevie steffi fanny
stephen steve steven stefan stephan stéphane esteban stef stevie
susan sue susie suzy suzie susanne suzanne
susanna sue susie sanne suze
sylvia syl silvia
tamara tammy
terence terry
teresa terry tess theresa therese tessa resi teresita
theodor theo dorus
theodore ted theo teddy
thomas tom tommy thom tomás maas
timothy tim timmy
tobias toby tobi
ulrich uli
ursula uschi ulla
valerie val
vanessa nessa
veronica ronnie vera roni véronique veronika
victor vic viktor
victoria vicky vicki tori viktoria
vincent vin vinny vince vincenzo
virginia ginny ginger
vivian viv
walter walt wally wout wolter
wanda wendy
wilhelmina willemijn mina mien minnie wilma willy miep
willem wim will pim
william bill will billy willy liam wilhelm guillaume willem
winifred win winnie
wolfgang wolf
wouter wout walter
yolanda yola jolanda
yvonne evy vonnie
zachary zach zack
"""

NICKNAMES = tuple(tuple(line.split()) for line in _TABLE.replace("\n  ", " ").strip().split("\n"))
